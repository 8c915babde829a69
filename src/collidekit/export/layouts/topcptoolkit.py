"""TopCPToolKit's dilepton assignment: one flat row of numbers for each event, described by the metadata."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from collidekit.analysis.schema import Collection, Group
from collidekit.export.layouts.base import Array, Arrays, refuse
from collidekit.export.layouts.columns import no_name_twice, plain_ascii, variable_options, variables
from collidekit.export.layouts.parity import ByParity
from collidekit.runtime.schema import Schema

FLAT = "flat_input"
TOPOLOGY = "TtbarDiLepton"


class TopCPToolKit(ByParity):
    """One flat row of numbers for each event: ``flat_input (N, M)`` with all inputs, in the order of the metadata key ``input_names``.

    A collection has ``limit`` slots, each with its features in the order of its key, such as ``jet_inputs``. A flat
    group has its features. Empty slots are last and hold ``NN_padding_value`` in every column (default -999; option
    ``padding_value``). So an event without jets is a row of full length.

    The keys are ``jet_inputs`` for the collection ``jets``, ``lep_inputs`` for ``leptons``, ``met_inputs`` for a group
    ``met``, ``global_event_inputs`` for the first other group, otherwise ``<input>_inputs``. The option
    ``input.<input>`` sets another key. ``NN_max_jets`` is the limit of ``jet_inputs``.

    Outputs are ``(N, 1)`` in single precision, one for each column of a row, also for positions of constituents.
    Positions count from 0 in the order of the input, and are -1 if there are too few constituents. ``<output>_shape``
    is the shape without the first axis. Columns of constituents are left out. The option ``output.<column>`` renames an
    output. With the option ``producer: <name>``, outputs have Athena's names, ``TtbarDiLepton_<producer>_<branch>``:
    see ``branches``.
    """

    name = "topcptoolkit"
    takes_noise: ClassVar[bool] = False
    graph_names = ("even.onnx", "odd.onnx")
    files_of: ClassVar[dict[str, str]] = {"even": "even.onnx", "odd": "odd.onnx"}
    rule = "event number % 2"

    def check(self) -> None:
        if not self.row_columns:
            raise refuse(self.name, "the network has no output for whole rows; use generic")
        jets = [name for name, key in self.keys.items() if key == "jet_inputs"]
        if not jets or jets[0] not in self.graph.analysis.collections:
            raise refuse(
                self.name, "needs a collection of jets; name it with the option input.<collection>: jet_inputs"
            )
        no_name_twice(self, self.keys.values(), "inputs")
        no_name_twice(self, self.output_names, "outputs")
        for name, entry in self.graph.analysis.inputs.items():
            variables(self, name, entry)
        producer = self.option("producer", "collidekit")
        for name in (*self.output_names, *self.keys.values(), producer):
            if not plain_ascii(name):
                raise refuse(
                    self.name, f"name {name!r}: use only letters, digits and _; rename it in the analysis file"
                )
        if "_" in producer:
            raise refuse(
                self.name, f"option producer: {producer!r} may not contain '_', which separates the parts of a name"
            )
        self._padding()
        self.file_name()

    @property
    def option_names(self) -> list[str]:
        analysis = self.graph.analysis
        inputs = [f"input.{name}" for name in analysis.inputs]
        outputs = [f"output.{name}" for name in self.row_columns]
        return [*super().option_names, "padding_value", "producer", *inputs, *outputs, *variable_options(analysis)]

    @property
    def keys(self) -> dict[str, str]:
        """Return the key of each input of the analysis."""
        known = {"jets": "jet_inputs", "leptons": "lep_inputs", "met": "met_inputs"}
        found: dict[str, str] = {}
        for name, entry in self.graph.analysis.inputs.items():
            default = known.get(name, f"{name}_inputs")
            other = isinstance(entry, Group) and name not in known and "global_event_inputs" not in found.values()
            found[name] = self.option(f"input.{name}", "global_event_inputs" if other else default)
        return found

    @property
    def row_columns(self) -> list[str]:
        """Return the columns with one number for each row."""
        return [name for name in self.graph.output_names if name not in self.graph.constituent_outputs]

    @property
    def input_names(self) -> list[str]:
        return [FLAT]

    @property
    def output_names(self) -> list[str]:
        producer = self.option("producer", "")
        prefix, branches = (f"{TOPOLOGY}_{producer}_", self.branches) if producer else ("", {})
        return [prefix + self.option(f"output.{name}", branches.get(name, name)) for name in self.row_columns]

    @property
    def branches(self) -> dict[str, str]:
        """Return Athena's names of columns; tops are numbered from 1 in the order of the analysis.

        ``Top1_Indices`` is the position of the jet, with the suffix ``_<slot>`` if a top has several slots.
        ``Top1_Score`` is the probability of the assignment. ``Classification_Score`` is the discriminator, if there is
        exactly one. The producer computes four-momenta.
        """
        analysis = self.graph.analysis
        parents = {name: slots for target in analysis.assignments.values() for name, slots in target.parents.items()}
        found = {}
        for number, (parent, slots) in enumerate(parents.items(), 1):
            for slot in slots:
                found[f"index_{parent}_{slot}"] = f"Top{number}_Indices" + (f"_{slot}" if len(slots) > 1 else "")
            found[f"{parent}_assignment_probability"] = f"Top{number}_Score"
        if len(analysis.discriminators) == 1:
            found[next(iter(analysis.discriminators))] = "Classification_Score"
        return found

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        return {name: {0: "N"} for name in (*self.input_names, *self.output_names)}

    @property
    def sizes(self) -> dict[str, int]:
        """Return the number of values in a row for each input."""
        return {
            name: entry.width * (entry.limit if isinstance(entry, Collection) else 1)
            for name, entry in self.graph.analysis.inputs.items()
        }

    def example(self, rows: int, length: int) -> tuple[Tensor, ...]:
        return (torch.randn(rows, sum(self.sizes.values())),)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        given: dict[str, Tensor] = {}
        start = 0
        for name, entry in self.graph.analysis.inputs.items():
            part = tensors[0][:, start : start + self.sizes[name]]
            start += self.sizes[name]
            if not isinstance(entry, Collection):
                given[name] = part
                continue
            given[name] = part.reshape(-1, entry.limit, entry.width)
            other = (given[name] != self._padding()).to(torch.float32).sum(dim=2)
            given[f"{name}_mask"] = other.clamp(max=1)
        columns = self.columns(given)
        return tuple(columns[name].float().unsqueeze(1) for name in self.row_columns)

    def given(self, generic: Arrays) -> dict[str, Array]:
        parts = []
        for name, entry in self.graph.analysis.inputs.items():
            values = np.asarray(generic[name], dtype=np.float32)
            if isinstance(entry, Collection):
                rows, length = values.shape[:2]
                block = np.full((rows, entry.limit, entry.width), self._padding(), dtype=np.float32)
                kept = min(length, entry.limit)
                there = generic[f"{name}_mask"][:, :kept] > 0
                block[:, :kept][there] = values[:, :kept][there]
                values = block.reshape(rows, self.sizes[name])
            parts.append(values)
        return {FLAT: np.concatenate(parts, axis=1)}

    def found(self, outputs: Arrays, generic: Arrays) -> dict[str, Array]:
        return {name: outputs[output][:, 0] for name, output in zip(self.row_columns, self.output_names, strict=True)}

    def metadata(self, schema: Schema) -> dict[str, str]:
        inputs = self.graph.analysis.inputs
        jets = next(name for name, key in self.keys.items() if key == "jet_inputs")
        found = {
            "NN_padding_value": self.option("padding_value", "-999"),
            "NN_max_jets": str(self.graph.analysis.collections[jets].limit),
            "input_names": ",".join(self.keys.values()),
            "output_names": ",".join(self.output_names),
        }
        found |= {key: ",".join(v.name for v in variables(self, name, inputs[name])) for name, key in self.keys.items()}
        found |= {f"{name}_shape": "1" for name in self.output_names}
        return found | super().metadata(schema)

    def _padding(self) -> float:
        text = self.option("padding_value", "-999")
        try:
            value = float(np.float32(float(text)))
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise refuse(self.name, f"option padding_value: must be a finite number, got {text!r}")
        return value
