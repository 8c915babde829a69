"""CMSSW: one jet per call, with weaver's ``preprocess.json`` or with several plain tables."""

import json
import re
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from collidekit.analysis.schema import Collection
from collidekit.export.layouts.base import Array, Arrays, Layout, one_row
from collidekit.export.layouts.columns import (
    columns_of_kind,
    constituents,
    label_of,
    label_options,
    needs_classes,
    no_assignments,
    no_name_twice,
    variable_options,
    variables,
)
from collidekit.runtime.schema import Schema

UNBOUNDED = 1e32
"""Value of a bound that does not exist."""
OUTPUT = "softmax"


class OneJet(Layout):
    """Common base of the layouts for CMSSW: one output (1, M) with a number for each of ``flav_names`` in the settings of the producer.

    These are the class probabilities ``prob<class>``, then other numbers of the row, such as a regression. Names have
    only letters and digits. Discriminators are included only with the option ``discriminators: yes``.
    """

    batched = False
    takes_noise: ClassVar[bool] = False

    def check(self) -> None:
        needs_classes(self)
        no_assignments(self)
        no_name_twice(self, self.input_names, "tensors")
        no_name_twice(self, self.flavours, "outputs")
        for name, entry in self.graph.analysis.inputs.items():
            variables(self, name, entry)

    @property
    def option_names(self) -> list[str]:
        analysis = self.graph.analysis
        return [*label_options(analysis), "discriminators", *variable_options(analysis)]

    @property
    def numbers(self) -> list[str]:
        """Return the columns in the output, in order."""
        kinds = ["value"] + ["discriminator"] * (self.choice("discriminators", ("no", "yes")) == "yes")
        return columns_of_kind(self, "probability") + columns_of_kind(self, *kinds)  # type: ignore[arg-type]

    @property
    def flavours(self) -> list[str]:
        """Return the ``flav_names`` for the producer."""
        probabilities = columns_of_kind(self, "probability")
        return [
            f"prob{label_of(self, name)}" if name in probabilities else re.sub("[^A-Za-z0-9]", "", name)
            for name in self.numbers
        ]

    @property
    def output_names(self) -> list[str]:
        return [OUTPUT]

    def output(self, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Return the output for the inputs of the graph."""
        columns = self.columns(given)
        return (torch.stack([columns[name].float() for name in self.numbers], dim=1),)

    def found(self, outputs: Arrays, generic: Arrays) -> dict[str, Array]:
        return {name: outputs[OUTPUT][:, k] for k, name in enumerate(self.numbers)}

    def metadata(self, schema: Schema) -> dict[str, str]:
        return {"flav_names": ",".join(self.flavours)}


class CMSSW(OneJet):
    """The groups of weaver's ``preprocess.json``, each (1, F, n) in single precision, with the axis of features first.

    A collection has ``<name>_points`` (coordinates), ``<name>_features``, ``<name>_vectors`` (momenta), and
    ``<name>_mask`` (1, 1, n), a variable that is 1 for each constituent and padded with 0; groups that the analysis
    does not define are absent. A flat group has ``<name>_features`` (1, F, 1). A collection without constituents is one
    constituent of zeros with mask 0.

    In ``preprocess.json`` the median is 0, the factor is 1 and there are no bounds: scaling, bounds and defaults are
    inside the graph. NaN and infinity become ``replace_inf_value``, the default of the feature. The reader takes the
    first constituents, up to the limit of the collection; with the option ``length: fixed`` it pads to the limit.
    """

    name = "cmssw"

    @property
    def option_names(self) -> list[str]:
        return [*super().option_names, "length"]

    @property
    def blocks(self) -> dict[str, tuple[str, slice]]:
        """Return the input and its columns for each group of ``preprocess.json`` that is not a mask."""
        found: dict[str, tuple[str, slice]] = {}
        for name, entry in self.graph.analysis.inputs.items():
            if isinstance(entry, Collection) and entry.coordinates:
                found[f"{name}_points"] = name, slice(entry.first_coordinate, entry.width)
            found[f"{name}_features"] = name, slice(0, len(entry.features))
            if isinstance(entry, Collection) and entry.momenta:
                found[f"{name}_vectors"] = name, slice(entry.first_momentum, entry.first_coordinate)
        return found

    @property
    def input_names(self) -> list[str]:
        names: list[str] = []
        for name, entry in self.graph.analysis.inputs.items():
            names += [block for block, (of, _) in self.blocks.items() if of == name]
            names += [f"{name}_mask"] if isinstance(entry, Collection) else []
        return names

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        collections = self.graph.analysis.collections
        free = {block: {2: f"n_{of}"} for block, (of, _) in self.blocks.items() if of in collections}
        return free | {f"{name}_mask": {2: f"n_{name}"} for name in collections}

    def example(self, rows: int, length: int) -> tuple[Tensor, ...]:
        collections, found = self.graph.analysis.collections, []
        for name in self.input_names:
            if name not in self.blocks:
                found.append(torch.ones(1, 1, length))
                continue
            of, columns = self.blocks[name]
            found.append(torch.randn(1, columns.stop - columns.start, length if of in collections else 1))
        return tuple(found)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        tables = dict(zip(self.input_names, tensors, strict=True))
        given: dict[str, Tensor] = {}
        for name, entry in self.graph.analysis.inputs.items():
            if not isinstance(entry, Collection):
                given[name] = tables[f"{name}_features"].squeeze(2)
                continue
            parts = [
                tables[block] for _, block in sorted((c.start, b) for b, (of, c) in self.blocks.items() if of == name)
            ]
            given[name] = torch.cat(parts, dim=1).transpose(1, 2)
            given[f"{name}_mask"] = tables[f"{name}_mask"].squeeze(1)
        return self.output(given)

    def given(self, generic: Arrays) -> dict[str, Array]:
        one_row(generic, self.name)
        found: dict[str, Array] = {}
        for name, entry in self.graph.analysis.inputs.items():
            if not isinstance(entry, Collection):
                found[f"{name}_features"] = np.asarray(generic[name], dtype=np.float32)[:, :, None]
                continue
            table = constituents(generic, name)[: entry.limit]
            mask = np.ones((1, 1, max(len(table), 1)), dtype=np.float32) * (len(table) > 0)
            table = table if len(table) else np.zeros((1, entry.width), dtype=np.float32)
            for block, (of, columns) in self.blocks.items():
                if of == name:
                    found[block] = np.ascontiguousarray(table[:, columns].T[None])
            found[f"{name}_mask"] = mask
        return {name: found[name] for name in self.input_names}

    def files(self, schema: Schema) -> dict[str, str]:
        """Return ``preprocess.json`` and the settings of the producer, for each fold if there are folds."""
        found = {"preprocess.json": json.dumps(self.preprocess, indent=2) + "\n"}
        for fold in range(schema.folds) if schema.folds else (None,):
            settings = {
                "preprocess_json": "preprocess.json",
                "model_path": self.file_name(fold),
                "flav_names": self.flavours,
            }
            name = "producer.json" if fold is None else f"producer_fold{fold}.json"
            found[name] = json.dumps(settings, indent=2) + "\n"
        return found

    @property
    def preprocess(self) -> dict[str, object]:
        """Return the content of ``preprocess.json``."""
        found: dict[str, object] = {"output_names": [OUTPUT], "input_names": self.input_names}
        for name in self.input_names:
            if name in self.blocks:
                of, columns = self.blocks[name]
                entry = self.graph.analysis.inputs[of]
                infos = {v.name: _info(v.fill) for v in variables(self, of, entry)[columns]}
            else:
                entry = self.graph.analysis.inputs[name.removesuffix("_mask")]
                infos = {name: _info(0.0)}
            found[name] = {"var_names": list(infos), "var_infos": infos, **self._length(entry)}
        return found

    def _length(self, entry: object) -> dict[str, int]:
        if not isinstance(entry, Collection):
            return {"var_length": 1}
        if self.choice("length", ("free", "fixed")) == "fixed":
            return {"var_length": entry.limit}
        return {"min_length": 1, "max_length": entry.limit}


def _info(fill: float) -> dict[str, float]:
    return {
        "median": 0.0,
        "norm_factor": 1.0,
        "replace_inf_value": fill,
        "lower_bound": -UNBOUNDED,
        "upper_bound": UNBOUNDED,
        "pad": 0.0,
    }


class SeveralInputs(OneJet):
    """Several plain tables without masks, for the producer of the unified particle transformer (UParT).

    ``input_1`` to ``input_k`` are the collections (1, n, f) with features and then coordinates, followed in the same
    order by the momenta (1, n, 4) of collections that have momenta. Flat groups, which the contract does not have, are
    last as (1, 1, f). Rows of zeros at the end of a collection are padding. Each collection may have any number of
    them, and needs at least one row. A constituent at the end with only zeros is treated as padding. The metadata key
    ``input_variables`` has the names of the columns.
    """

    name = "cmssw_upart"

    @property
    def parts(self) -> list[tuple[str, list[int]]]:
        """Return the input and its columns for each tensor."""
        analysis = self.graph.analysis
        tables, vectors = [], []
        for name, entry in analysis.collections.items():
            columns = list(range(entry.width))
            momenta = columns[entry.first_momentum : entry.first_coordinate]
            tables.append((name, [column for column in columns if column not in momenta]))
            vectors += [(name, momenta)] if momenta else []
        return [*tables, *vectors, *((name, list(range(group.width))) for name, group in analysis.groups.items())]

    @property
    def input_names(self) -> list[str]:
        return [f"input_{k}" for k in range(1, len(self.parts) + 1)]

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        collections = self.graph.analysis.collections
        named = zip(self.input_names, self.parts, strict=True)
        return {tensor: {1: f"n_{name}"} for tensor, (name, _) in named if name in collections}

    def example(self, rows: int, length: int) -> tuple[Tensor, ...]:
        collections = self.graph.analysis.collections
        return tuple(torch.randn(1, length if name in collections else 1, len(columns)) for name, columns in self.parts)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        given: dict[str, Tensor] = {}
        for name, entry in self.graph.analysis.inputs.items():
            found = [(c, tensor[:, :, k]) for (of, columns), tensor in zip(self.parts, tensors, strict=True)
                     if of == name for k, c in enumerate(columns)]  # fmt: skip
            table = torch.stack([values for _, values in sorted(found, key=lambda pair: pair[0])], dim=2)
            if not isinstance(entry, Collection):
                given[name] = table.squeeze(1)
                continue
            given[name] = table
            given[f"{name}_mask"] = _before_padding(table)
        return self.output(given)

    def given(self, generic: Arrays) -> dict[str, Array]:
        one_row(generic, self.name)
        found: dict[str, Array] = {}
        for tensor, (name, columns) in zip(self.input_names, self.parts, strict=True):
            if name in self.graph.analysis.groups:
                found[tensor] = np.asarray(generic[name], dtype=np.float32)[:, None, columns]
                continue
            table = constituents(generic, name)[:, columns]
            found[tensor] = np.concatenate([table, np.zeros((1, len(columns)), np.float32)])[None]
        return found

    def metadata(self, schema: Schema) -> dict[str, str]:
        names = {
            tensor: [variables(self, name, self.graph.analysis.inputs[name])[column].name for column in columns]
            for tensor, (name, columns) in zip(self.input_names, self.parts, strict=True)
        }
        return {**super().metadata(schema), "input_variables": json.dumps(names)}

    def file_name(self, fold: int | None = None) -> str:
        """Return a file name that ends in ``v2.onnx``, because the producer uses free lengths only for such files."""
        return f"{self.model_name}{'' if fold is None else f'_fold{fold}'}_v2.onnx"


def _before_padding(table: Tensor) -> Tensor:
    """Return flags (N, L): 1 for each row of (N, L, C) that is not zero or is followed by such a row, else 0."""
    there = (table != 0).to(table.dtype).sum(dim=2).clamp(max=1)
    following = there.sum(dim=1, keepdim=True) - there.cumsum(dim=1) + there
    return (following > 0).to(table.dtype)
