"""SPANet's graphs for TopCPToolKit: data and mask of each input, and a tensor of probabilities for each particle."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from collidekit.analysis.schema import Collection
from collidekit.analysis.targets import Assignment
from collidekit.export.layouts.base import Array, Arrays, refuse
from collidekit.export.layouts.columns import columns_of_kind, no_name_twice, variable_options, variables
from collidekit.export.layouts.parity import ByParity
from collidekit.runtime.schema import Schema

CLASSES = "EVENT/class"


class SPANet(ByParity):
    """Inputs ``<input>_data`` and ``<input>_mask`` in the order of the analysis, for batches of any size.

    A collection is (N, L, F) with a mask (N, L), a flat group (N, 1, F) with a mask (N, 1). Masks are boolean, true for
    existing objects. Constituents come before empty slots. If the mask of a group is false, each of its values becomes
    the default.

    ``<parent>_assignment_probability (N, L, ...)`` has an axis of constituents for each slot of the parent, in the
    order of the analysis. collidekit finds the best assignment of all parents together that uses no constituent twice.
    The tensor has the probability of this assignment at its position and 0 elsewhere, so the largest entry is the
    result. It is 0 everywhere if there are too few constituents. ``<parent>_detection_probability (N)`` is the
    probability that all decay products are in the event. ``EVENT/<value> (N)`` is any other number of a row, and
    ``EVENT/class (N, K)`` are the class probabilities.

    Noise inputs and columns of constituents are not part of the contract. The metadata have the names of the columns of
    each input.
    """

    name = "spanet"
    takes_noise: ClassVar[bool] = False
    graph_names = ("trained_on_even.onnx", "trained_on_odd.onnx")
    files_of: ClassVar[dict[str, str]] = {"even": "trained_on_odd.onnx", "odd": "trained_on_even.onnx"}
    rule = "(event number + 1) % 2"

    def check(self) -> None:
        if not self.output_names:
            raise refuse(self.name, "the network has no output for whole rows; use generic")
        no_name_twice(self, self.input_names, "tensors")
        no_name_twice(self, self.output_names, "outputs")
        for name, entry in self.graph.analysis.inputs.items():
            variables(self, name, entry)
        self.file_name()

    @property
    def option_names(self) -> list[str]:
        return [*super().option_names, *variable_options(self.graph.analysis)]

    @property
    def parents(self) -> dict[str, Assignment]:
        """Return the target of each assigned parent."""
        return {parent: target for target in self.graph.analysis.assignments.values() for parent in target.parents}

    @property
    def numbers(self) -> list[str]:
        """Return the columns with a number for each event."""
        return columns_of_kind(self, "value", "discriminator")

    @property
    def input_names(self) -> list[str]:
        return [f"{name}_{part}" for name in self.graph.analysis.inputs for part in ("data", "mask")]

    @property
    def output_names(self) -> list[str]:
        names = [f"{parent}_assignment_probability" for parent in self.parents]
        names += [f"{parent}_detection_probability" for parent in self.parents]
        names += [_event(name) for name in self.numbers]
        return names + [CLASSES] * bool(columns_of_kind(self, "probability"))

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        free: dict[str, dict[int, str]] = {name: {0: "N"} for name in (*self.input_names, *self.output_names)}
        for name in self.graph.analysis.collections:
            free[f"{name}_data"] = free[f"{name}_mask"] = {0: "N", 1: f"L_{name}"}
        for parent, target in self.parents.items():
            slots = [f"L_{target.collection_of(parent, slot)}" for slot in target.parents[parent]]
            free[f"{parent}_assignment_probability"] = {0: "N", **dict(enumerate(slots, 1))}
        return free

    def example(self, rows: int, length: int) -> tuple[Tensor, ...]:
        found: list[Tensor] = []
        for entry in self.graph.analysis.inputs.values():
            size = length if isinstance(entry, Collection) else 1
            found += [torch.randn(rows, size, entry.width), torch.ones(rows, size, dtype=torch.bool)]
        return tuple(found)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        tables = dict(zip(self.input_names, tensors, strict=True))
        given: dict[str, Tensor] = {}
        for name, entry in self.graph.analysis.inputs.items():
            data, mask = tables[f"{name}_data"], tables[f"{name}_mask"]
            if isinstance(entry, Collection):
                given[name], given[f"{name}_mask"] = data, mask.to(data.dtype)
            else:
                given[name] = torch.where(mask[..., None], data, torch.full_like(data, torch.nan)).squeeze(1)
        columns = self.columns(given)
        found = [self._assigned(parent, columns, given) for parent in self.parents]
        found += [columns[f"{parent}_detection_probability"] for parent in self.parents]
        found += [columns[name] for name in self.numbers]
        classes = [columns[name] for name in columns_of_kind(self, "probability")]
        return tuple([*found, torch.stack(classes, dim=1)] if classes else found)

    def _assigned(self, parent: str, columns: dict[str, Tensor], given: dict[str, Tensor]) -> Tensor:
        """Return the probability (N, L, ...) of the best assignment at its position, with 0 elsewhere."""
        target = self.parents[parent]
        found = columns[f"{parent}_assignment_probability"].float()
        for k, slot in enumerate(target.parents[parent]):
            mask = given[f"{target.collection_of(parent, slot)}_mask"]
            places = torch.ones_like(mask).cumsum(dim=1) - 1
            chosen = columns[f"index_{parent}_{slot}"].float()
            here = (places == chosen[:, None]).float()  # (N, L)
            for _ in range(k):
                here = here.unsqueeze(1)
            found = found.unsqueeze(-1) * here
        return found

    def given(self, generic: Arrays) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for name, entry in self.graph.analysis.inputs.items():
            values = np.asarray(generic[name], dtype=np.float32)
            if isinstance(entry, Collection):
                found[f"{name}_data"], found[f"{name}_mask"] = values, generic[f"{name}_mask"] > 0
            else:
                found[f"{name}_data"] = values[:, None]
                found[f"{name}_mask"] = np.ones((len(values), 1), dtype=bool)
        return found

    def found(self, outputs: Arrays, generic: Arrays) -> dict[str, Array]:
        """Convert outputs to the generic layout, without assignment probabilities, which are lost if there are too few constituents."""
        found: dict[str, Array] = {}
        for parent, target in self.parents.items():
            found |= _positions(parent, target, outputs[f"{parent}_assignment_probability"])
            found[f"{parent}_detection_probability"] = outputs[f"{parent}_detection_probability"]
        found |= {name: outputs[_event(name)] for name in self.numbers}
        for k, name in enumerate(columns_of_kind(self, "probability")):
            found[name] = outputs[CLASSES][:, k]
        return found

    def metadata(self, schema: Schema) -> dict[str, str]:
        inputs = self.graph.analysis.inputs
        found = {name: ",".join(v.name for v in variables(self, name, entry)) for name, entry in inputs.items()}
        found |= {"input_names": ",".join(self.input_names), "output_names": ",".join(self.output_names)}
        if classes := columns_of_kind(self, "probability"):
            found[CLASSES] = ",".join(name.removeprefix("prob_") for name in classes)
        return found | super().metadata(schema)


def _event(column: str) -> str:
    return f"EVENT/{column.removeprefix('pred_')}"


def _positions(parent: str, target: Assignment, tensor: Array) -> dict[str, Array]:
    """Return the position of each slot (N,), -1 if the tensor (N, L, ...) is 0 everywhere."""
    rows, sizes = len(tensor), tensor.shape[1:]
    names = [f"index_{parent}_{slot}" for slot in target.parents[parent]]
    table = tensor.reshape(rows, int(np.prod(sizes)))
    if not table.size:
        return {name: np.full(rows, -1) for name in names}
    best = np.unravel_index(table.argmax(axis=1), sizes)
    return {name: np.where(table.max(axis=1) > 0, place, -1) for name, place in zip(names, best, strict=True)}
