"""Athena's flavour tagging: one jet per call, a table of tracks without batch axis, and the metadata key ``gnn_config``."""

import json
import re
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from collidekit.analysis.targets import MemberClasses
from collidekit.export.layouts.base import Array, Arrays, Layout, one_row, refuse
from collidekit.export.layouts.columns import (
    columns_of_kind,
    constituents,
    flat,
    label_of,
    label_options,
    needs_classes,
    no_assignments,
    no_name_twice,
    plain_ascii,
    variable_options,
    variables,
)
from collidekit.runtime.schema import Schema

TENSORS = {
    "tracks": "track",
    "flows": "flow",
    "hits": "hit",
    "electrons": "electron",
    "muons": "muon",
    "clusters": "cluster",
    "towers": "tower",
}
"""Kind of a sequence, with which its name begins, and the name of its tensor before ``_features``."""
SORTS = ("sd0sort", "absSd0sort", "ptsort")
DEFAULT_SEQUENCE = "tracks_r22default_sd0sort"
NOT_SEEN = -1
"""Output for a constituent beyond the limit, which the network does not see."""


class Athena(Layout):
    """The ``gnn_config`` of salt, version "v1".

    Inputs: ``jet_features (1, n)`` with all flat groups, and for each collection ``track_features (n_tracks, f)``,
    ``flow_features``, ``electron_features`` ... without batch axis; the first axis is free and may be 0. The option
    ``sequence.<collection>`` is the name of a sequence, which defines the objects that Athena fills. The graph drops
    constituents beyond the limit of the collection, because Athena does not.

    Outputs: ``<model>_p<label>`` for each class and ``<model>_<column>`` for each other number, single precision of
    rank 0; ``<model>_TrackOrigin`` and ``<model>_VertexIndex``, int8 of rank 1, from targets of constituents, -1 beyond
    the limit. An origin is the index of its class in the target; it is not converted to the numbers of another
    framework. Discriminators are outputs only with the option ``discriminators: yes``, because the framework computes
    them from the probabilities.

    The files of all folds have the same inputs. Folds are defined by collidekit's rule, which is in the metadata key
    ``fold_rule`` and differs from Athena's rule.

    Variables have the values and units of the analysis. Scaling is inside the graph, so offsets are 0 and scales are 1.
    """

    name = "athena"
    batched = False
    opset = 20
    takes_noise: ClassVar[bool] = False

    def check(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9]+", self.model_name):
            raise refuse(
                self.name,
                f"the name of the model {self.model_name!r} may contain only letters and digits, because the reader takes the text before "
                "the first '_' as the name; give another name",
            )
        needs_classes(self)
        no_assignments(self)
        if not self.graph.analysis.groups:
            raise refuse(
                self.name,
                "needs 'jet_features', and the analysis has no flat group; add one, such as features of the jet",
            )
        no_name_twice(self, self.input_names, "tensors (each kind of sequence may occur once)")
        no_name_twice(self, self.output_names, "outputs")
        for name in self.output_names:
            if not plain_ascii(name.removeprefix(self.model_name).removeprefix("_")):
                raise refuse(
                    self.name, f"output {name!r}: use only letters, digits and _; rename it in the analysis file"
                )
        for name in self.graph.analysis.inputs:
            variables(self, name, self.graph.analysis.inputs[name])
        no_name_twice(self, [str(v["name"]) for v in self._jet_variables()], "variables of the jet")

    @property
    def option_names(self) -> list[str]:
        analysis = self.graph.analysis
        sequences = [f"sequence.{name}" for name in analysis.collections]
        outputs = [f"output.{name}" for name in analysis.member_targets]
        return [*sequences, *outputs, *label_options(analysis), "discriminators", *variable_options(analysis)]

    @property
    def sequences(self) -> dict[str, str]:
        """Return the name of the sequence of each collection."""
        found = {}
        for k, name in enumerate(self.graph.analysis.collections):
            known = name if name in TENSORS and name != "tracks" else ""
            text = self.option(f"sequence.{name}", known or (DEFAULT_SEQUENCE if k == 0 else ""))
            if not text:
                raise refuse(
                    self.name,
                    f"give the sequence of the framework for the {name} with the option sequence.{name}, such as 'flows' or 'electrons'",
                )
            found[name] = _checked(self.name, name, text)
        return found

    @property
    def input_names(self) -> list[str]:
        return ["jet_features", *(f"{TENSORS[_kind(text)]}_features" for text in self.sequences.values())]

    @property
    def member_outputs(self) -> dict[str, str]:
        """Return the column of constituents of each output, by the name of the output."""
        found: dict[str, str] = {}
        for column in self.graph.constituent_outputs:
            target = self.graph.analysis.member_targets.get(column)
            if target is None:
                continue
            default = "TrackOrigin" if isinstance(target, MemberClasses) else "VertexIndex"
            name = f"{self.model_name}_{self.option(f'output.{column}', default)}"
            if name in found:
                raise refuse(
                    self.name,
                    f"the targets {found[name]!r} and {column!r} would both have the output {name!r}; rename one with the option "
                    f"output.{column}, such as TrackType",
                )
            found[name] = column
        return found

    @property
    def row_outputs(self) -> dict[str, str]:
        """Return the column of rows of each output, by the name of the output."""
        kinds = ["value"] + ["discriminator"] * (self.choice("discriminators", ("no", "yes")) == "yes")
        classes = columns_of_kind(self, "probability")
        pairs = [(f"{self.model_name}_p{label_of(self, column)}", column) for column in classes]
        pairs += [(f"{self.model_name}_{column}", column) for column in columns_of_kind(self, *kinds)]  # type: ignore[arg-type]
        no_name_twice(self, [name for name, _ in pairs], "outputs")
        return dict(pairs)

    @property
    def output_names(self) -> list[str]:
        return [*self.row_outputs, *self.member_outputs]

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        of = dict(zip(self.sequences, self.input_names[1:], strict=True))
        axis = {name: f"n_{_kind(text)}" for name, text in self.sequences.items()}
        free = {of[name]: {0: axis[name]} for name in of}
        for name, column in self.member_outputs.items():
            free[name] = {0: axis[self.graph.constituent_outputs[column]]}
        return free

    def example(self, rows: int, length: int) -> tuple[Tensor, ...]:
        analysis = self.graph.analysis
        jet = torch.randn(1, sum(group.width for group in analysis.groups.values()))
        return (jet, *(torch.randn(length, entry.width) for entry in analysis.collections.values()))

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        jet, *sequences = tensors
        analysis = self.graph.analysis
        given: dict[str, Tensor] = {}
        widths = [group.width for group in analysis.groups.values()]
        given.update(zip(analysis.groups, jet.split(widths, dim=1), strict=True))  # type: ignore[no-untyped-call]
        of = dict(zip(analysis.collections, sequences, strict=True))
        for name, table in of.items():
            given[name] = table.unsqueeze(0)
            given[f"{name}_mask"] = torch.ones_like(table[:, 0]).unsqueeze(0)
        columns = self.columns(given)
        found = [columns[column].reshape(()) for column in self.row_outputs.values()]
        for column in self.member_outputs.values():
            collection = self.graph.constituent_outputs[column]
            found.append(_of_all(columns[column][0], of[collection][:, 0], analysis.collections[collection].limit))
        return tuple(found)

    def given(self, generic: Arrays) -> dict[str, Array]:
        one_row(generic, self.name)
        analysis = self.graph.analysis
        tables = [constituents(generic, name) for name in analysis.collections]
        return dict(zip(self.input_names, [flat(generic, analysis), *tables], strict=True))

    def found(self, outputs: Arrays, generic: Arrays) -> dict[str, Array]:
        found = {column: outputs[name].reshape(1) for name, column in self.row_outputs.items()}
        for name, column in self.member_outputs.items():
            there = generic[f"{self.graph.constituent_outputs[column]}_mask"] > 0
            found[column] = np.full(there.shape, NOT_SEEN, dtype=np.int8)
            found[column][there] = outputs[name]
        return found

    def metadata(self, schema: Schema) -> dict[str, str]:
        config = {
            "ckpt_path": schema.name,
            "layers": [],
            "nodes": [],
            "config.yaml": {"network": schema.network, "settings": schema.settings},
            "metadata.yaml": {"fingerprint": schema.fingerprint, "versions": schema.versions},
            "salt_export_hash": schema.git.get("git commit", ""),
            "forced_export": False,
            "onnx_model_version": "v1",
            "output_names": self.output_names,
            "model_name": self.model_name,
            "inputs": [{"name": "jet_var", "variables": self._jet_variables()}],
            "input_sequences": [
                {"name": text, "variables": self._variables(name)} for name, text in self.sequences.items()
            ],
            "combine_outputs": [],
            "rename_outputs": {},
        }
        rule = f"{schema.fold_rule}; Athena's jetFoldHash is another rule and would select other files"
        return {"gnn_config": json.dumps(config), **({"fold_rule": rule} if schema.folds else {})}

    def _jet_variables(self) -> list[dict[str, object]]:
        return [entry for name in self.graph.analysis.groups for entry in self._variables(name)]

    def _variables(self, name: str) -> list[dict[str, object]]:
        found = variables(self, name, self.graph.analysis.inputs[name])
        return [{"name": variable.name, "offset": 0.0, "scale": 1.0} for variable in found]


def _kind(sequence: str) -> str:
    return sequence.partition("_")[0]


def _checked(layout: str, collection: str, text: str) -> str:
    """Return the name of a sequence; raise CollidekitError if the regular expression of the reader does not match."""
    kind, *rest = text.split("_")
    if kind not in TENSORS:
        raise refuse(layout, f"option sequence.{collection}: {text!r} must begin with one of {', '.join(TENSORS)}")
    tracks = kind != "tracks" or (len(rest) == 2 and rest[1] in SORTS)
    if not tracks or not all(re.fullmatch(r"[A-Za-z0-9]+", part) for part in rest):
        raise refuse(
            layout,
            f"option sequence.{collection}: {text!r} must have the form tracks_<selection>_<sort>, with a sort among {', '.join(SORTS)}, "
            f"such as {DEFAULT_SEQUENCE}",
        )
    return text


def _of_all(values: Tensor, table: Tensor, limit: int) -> Tensor:
    """Return numbers (n,), int8, for all n constituents of a table, from the numbers of the constituents that the network sees."""
    whole = torch.cat([values.to(torch.int32), torch.full_like(table, NOT_SEEN, dtype=torch.int32)])[: table.shape[0]]
    place = torch.ones_like(table, dtype=torch.int32).cumsum(0)
    return torch.where(place <= limit, whole, torch.full_like(whole, NOT_SEEN)).to(torch.int8)
