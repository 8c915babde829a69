"""TopCPToolKit's neutrino flow: one event per call, four input tables, and the momenta of both neutrinos."""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.analysis.targets import Regression
from collidekit.export.layouts.base import Array, Arrays, one_row, refuse
from collidekit.export.layouts.columns import constituents
from collidekit.export.layouts.parity import ByParity
from collidekit.runtime.schema import Schema

TABLES = {"jets": 6, "leptons": 6, "met": 3, "misc": 3}
"""Inputs in order, with their numbers of columns."""
OBJECTS = ("jets", "leptons")
CONTENT = {
    "jets": "px, py, pz in GeV, log(1 + E), log(1 + M), b-tag quantile",
    "leptons": "px, py, pz in GeV, log(1 + E), charge, flavour (0 electron, 1 muon), electrons first",
    "met": "px, py, sum of ET in GeV",
    "misc": "number of electrons, muons, jets",
}
NEUTRINOS, DENSITY = "neutrinos", "log_probs"


class NuFlows(ByParity):
    """Inputs ``jets (n, 6)``, ``leptons (n, 6)``, ``met (1, 3)``, ``misc (1, 3)``, outputs ``neutrinos (1, 6)`` and ``log_probs (1)``.

    The analysis must have exactly these inputs, with the features that the reader fills, in its order: see ``CONTENT``.
    If the analysis has momenta of jets and leptons, they are computed from the first four columns. One target must have
    six values: px, py, pz of the neutrino, then of the antineutrino, in GeV. If there are several such targets, the
    option ``target`` names one.

    The reader passes a collection without entries as a tensor of shape (0), without its second axis. So the graph does
    not declare the shape of ``jets`` and ``leptons``, and takes both (n, 6) and (0). Checkers that require a shape of
    every input report this.

    The contract has no input for the random numbers of a flow. They are drawn inside the graph, so two calls differ.
    The output is the median of many draws of each value, which varies less between calls than a single draw.
    ``log_probs`` is NaN, because a median or another estimate has no density.
    """

    name = "nuflows"
    batched = False
    graph_names = ("even.onnx", "odd.onnx")
    files_of: ClassVar[dict[str, str]] = {"even": "even.onnx", "odd": "odd.onnx"}
    rule = "event number % 2"

    def check(self) -> None:
        inputs = self.graph.analysis.inputs
        for name, number in TABLES.items():
            if name not in inputs:
                raise refuse(self.name, f"the analysis has no input {name!r}; the layout needs {', '.join(TABLES)}")
            kind = "a collection" if name in OBJECTS else "a flat group"
            if (name in self.graph.analysis.collections) != (name in OBJECTS) or len(inputs[name].features) != number:
                raise refuse(self.name, f"input {name!r} must be {kind} with {number} features: {CONTENT[name]}")
        for name in inputs:
            if name not in TABLES:
                raise refuse(self.name, f"the reader does not fill the input {name!r}; it fills {', '.join(TABLES)}")
        for name in OBJECTS:
            if self.graph.analysis.collections[name].coordinates:
                raise refuse(self.name, f"the reader does not fill coordinates of the {name}; leave them out")
        _ = self.columns_of_neutrinos
        self.file_name()

    @property
    def option_names(self) -> list[str]:
        return [*super().option_names, "target"]

    @property
    def columns_of_neutrinos(self) -> list[str]:
        """Return the six columns of the output."""
        return [f"pred_{value}" for value in self._target(self.graph.analysis).values]

    def _target(self, analysis: Analysis) -> Regression:
        able = {name: target for name, target in analysis.regressions.items() if len(target.values) == 6}
        name = self.option("target", next(iter(able), ""))
        if name not in able or ("target" not in self.options and len(able) > 1):
            listed = ", ".join(able) or "none"
            raise refuse(
                self.name,
                "needs a target with six values, px, py, pz of neutrino and antineutrino; name it with the option target, "
                f"there is {listed}",
            )
        if able[name].unit != "GeV":
            raise refuse(self.name, f"target {name!r} must be in GeV; add 'unit: GeV' if it is")
        return able[name]

    @property
    def input_names(self) -> list[str]:
        return list(TABLES)

    @property
    def output_names(self) -> list[str]:
        return [NEUTRINOS, DENSITY]

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        return {name: {0: f"n_{name}"} for name in OBJECTS}

    def example(self, rows: int, length: int) -> tuple[Tensor, ...]:
        return tuple(torch.rand(length if name in OBJECTS else 1, number) for name, number in TABLES.items())

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(TABLES, tensors, strict=True))
        for name in OBJECTS:
            table = given[name].reshape(-1, TABLES[name])
            if self.graph.analysis.collections[name].momenta:
                table = torch.cat([table, table[:, :3], table[:, 3:4].exp() - 1], dim=1)
            given[name] = table.unsqueeze(0)
            given[f"{name}_mask"] = torch.ones_like(table[:, 0]).unsqueeze(0)
        for name, head in self.graph.flows.items():
            given[f"noise_{name}"] = torch.randn(1, head.target.draws, len(head.target.values))
        columns = self.columns(given)
        found = torch.stack([columns[name] for name in self.columns_of_neutrinos], dim=1)
        return found, torch.full_like(found[:, 0], torch.nan)

    def finish(self, model: Any) -> None:
        for tensor in model.graph.input:
            if tensor.name in OBJECTS:
                tensor.type.tensor_type.ClearField("shape")

    def given(self, generic: Arrays) -> dict[str, Array]:
        one_row(generic, self.name)
        found = {}
        for name, number in TABLES.items():
            table = constituents(generic, name) if name in OBJECTS else np.asarray(generic[name], dtype=np.float32)
            found[name] = table[:, :number] if len(table) else np.zeros(0, dtype=np.float32)
        return found

    def found(self, outputs: Arrays, generic: Arrays) -> dict[str, Array]:
        if self.graph.flows:  # two calls differ
            return {}
        return {name: outputs[NEUTRINOS][:, k] for k, name in enumerate(self.columns_of_neutrinos)}

    def metadata(self, schema: Schema) -> dict[str, str]:
        return {"input_names": ",".join(TABLES), **CONTENT, **super().metadata(schema)}
