"""What a layout is: the names, shapes and files in which one framework wants the same function."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from collidekit.analysis.schema import Collection
from collidekit.errors import CollidekitError
from collidekit.export.graph import TaggerGraph
from collidekit.runtime.schema import Schema

Arrays = Mapping[str, np.ndarray[Any, Any]]


class Layout(nn.Module):
    """The generic layout, and the base of all others: inputs and outputs are those of ``TaggerGraph``, with batches of any size.

    A subclass may take other tensors in ``forward`` and bring them into the form that ``graph.columns`` takes. Of its contract it says
    ``input_names``, ``output_names``, ``axes`` and ``example``; ``given`` and ``found`` translate for whoever verifies it.
    """

    name: ClassVar[str] = "generic"
    batched: ClassVar[bool] = True
    """Whether a graph takes many rows at once; else one row a call."""
    graph_names: ClassVar[tuple[str, ...]] = ()
    """The file names that the consumer wants of a pair of folds; empty where it does not care."""

    def __init__(self, graph: TaggerGraph, model_name: str) -> None:
        super().__init__()
        self.graph = graph
        self.model_name = model_name
        self.check()

    def check(self) -> None:
        """Raise CollidekitError where the contract cannot hold this network, with what to do."""

    @property
    def input_names(self) -> list[str]:
        """The names of the tensors that ``forward`` takes, in order."""
        return self.graph.input_names

    @property
    def output_names(self) -> list[str]:
        """The names of the tensors that ``forward`` gives, in order."""
        return self.graph.output_names

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        """The free axes of each input and output."""
        analysis = self.graph.analysis
        free: dict[str, dict[int, str]] = {name: {0: "N"} for name in (*self.input_names, *self.output_names)}
        for name, entry in analysis.inputs.items():
            if isinstance(entry, Collection):
                free[name] = {0: "N", 1: f"L_{name}"}
                free[f"{name}_mask"] = {0: "N", 1: f"L_{name}"}
        for name, collection in self.graph.constituent_outputs.items():
            free[name] = {0: "N", 1: f"L_{collection}"}
        return free

    def example(self, rows: int, length: int) -> tuple[Tensor, ...]:
        """Tensors of the shapes that ``forward`` takes."""
        return self.graph.example(rows, length)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self.graph(*tensors)  # type: ignore[no-any-return]

    def given(self, generic: Arrays) -> dict[str, np.ndarray[Any, Any]]:
        """Inputs of this layout for inputs of the generic one: of one row where it is not ``batched``."""
        return dict(generic)

    def found(self, outputs: Arrays, generic: Arrays) -> dict[str, np.ndarray[Any, Any]]:
        """Outputs of the generic layout, as far as this one gives them, for its own outputs and the generic inputs of the same rows."""
        return dict(outputs)

    def metadata(self, schema: Schema) -> dict[str, str]:
        """What else stands in the metadata of the graph."""
        return {}

    def files(self, schema: Schema) -> dict[str, str]:
        """Texts of files beside the graph, by their names."""
        return {}


def refuse(layout: str, reason: str) -> CollidekitError:
    """The error of a network that a contract cannot hold."""
    return CollidekitError(f"layout {layout}: {reason}")
