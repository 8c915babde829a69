"""Interface of a layout: the names, shapes and files that one framework expects."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from collidekit.analysis.schema import Collection
from collidekit.dataset.parts import Folds
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.export.graph import TaggerGraph
from collidekit.export.onnx_file import to_onnx
from collidekit.names import name_problem
from collidekit.runtime.schema import Schema

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]


class Layout(nn.Module):
    """The generic layout, with the inputs and outputs of ``TaggerGraph`` for any number of rows, and the base class of all layouts.

    A subclass may take other tensors in ``forward`` and convert them to the inputs of ``graph.columns``. It defines its
    contract with ``input_names``, ``output_names``, ``axes`` and ``example``. ``given`` and ``found`` convert between
    the generic layout and this one, for verification. ``option_names`` lists its options; their values are texts, such
    as ``{"label.light": "u"}``.
    """

    name: ClassVar[str] = "generic"
    batched: ClassVar[bool] = True
    """True if a call takes many rows; False if it takes one row."""
    opset: ClassVar[int] = 17
    takes_noise: ClassVar[bool] = True
    """True if the contract supports the random numbers of a flow."""
    graph_names: ClassVar[tuple[str, ...]] = ()
    """File names of a pair, in the order in which the consumer numbers them; empty if there is no pair."""

    def __init__(self, graph: TaggerGraph, model_name: str, options: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.graph = graph
        self.model_name = model_name
        self.options = dict(options or {})
        if problem := name_problem(model_name):
            raise refuse(self.name, f"the name of the model {model_name[:60]!r} {problem}; give another one")
        self._check_options()
        if graph.flows and not self.takes_noise:
            raise refuse(
                self.name,
                f"target {next(iter(graph.flows))!r} is a flow, which needs random numbers, and the contract has no input for them; "
                "use the layout generic, triton or nuflows, or another estimate than flow",
            )
        self.check()

    def check(self) -> None:
        """Raise CollidekitError, with advice, if the network does not fit the contract."""

    @property
    def option_names(self) -> list[str]:
        """Return the names of the options for this network."""
        return []

    def option(self, name: str, default: str) -> str:
        """Return the value of an option."""
        return self.options.get(name, default)

    def choice(self, name: str, values: tuple[str, ...]) -> str:
        """Return the value of an option with a list of allowed values; the first one is the default."""
        chosen = self.option(name, values[0])
        if chosen not in values:
            close = did_you_mean(chosen, values)
            raise refuse(self.name, f"option {name}: {chosen!r} is not one of {', '.join(values)}{close}")
        return chosen

    def _check_options(self) -> None:
        known = self.option_names
        for name, value in self.options.items():
            if name not in known:
                listed = f"known are {', '.join(known)}" if known else "it has none"
                raise refuse(self.name, f"there is no option {name!r}{did_you_mean(name, known)}; {listed}")
            if not isinstance(value, str) or not value:
                raise refuse(self.name, f"option {name}: must be a text that is not empty, got {value!r}")

    @property
    def input_names(self) -> list[str]:
        """Return the names of the inputs of ``forward``, in order."""
        return self.graph.input_names

    @property
    def output_names(self) -> list[str]:
        """Return the names of the outputs of ``forward``, in order."""
        return self.graph.output_names

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        """Return the free axes of each input and output."""
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
        """Return example inputs of ``forward``; ``rows`` has no effect if the layout is not ``batched``."""
        return self.graph.example(rows, length)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return self.graph(*tensors)  # type: ignore[no-any-return]

    def columns(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the columns of the graph for its inputs by name."""
        return self.graph.columns(*(given[name] for name in self.graph.input_names))

    def given(self, generic: Arrays) -> dict[str, Array]:
        """Convert inputs of the generic layout to inputs of this layout, for one row if it is not ``batched``."""
        return dict(generic)

    def found(self, outputs: Arrays, generic: Arrays) -> dict[str, Array]:
        """Convert outputs of this layout to outputs of the generic layout, as far as possible.

        ``generic`` are the generic inputs of the same rows.
        """
        return dict(outputs)

    def metadata(self, schema: Schema) -> dict[str, str]:
        """Return further entries of the metadata of the graph."""
        return {}

    @property
    def events(self) -> str:
        """Return the events that the file may be used for, in words, if the consumer selects it by the event number; else empty."""
        return ""

    def check_events(self) -> None:
        """Raise CollidekitError if the network may have been trained on the events that the file is for."""

    def files(self, schema: Schema) -> dict[str, str]:
        """Return the text of further files, by name."""
        return {}

    def file_name(self, fold: int | None = None) -> str:
        """Return the path of the graph, of one fold if there are folds."""
        return "model.onnx" if fold is None else f"model_fold{fold}.onnx"

    def check_folds(self, split: Folds) -> None:
        """Raise CollidekitError if the consumer would select the file of a fold by another rule than collidekit."""

    def finish(self, model: Any) -> None:
        """Change the ONNX model in place, for properties that the exporter cannot set."""

    def to_onnx(self, opset: int | None = None) -> Any:
        """Return the ONNX model of this layout, without metadata."""
        example = self.example(3, 7)
        with torch.no_grad():
            self.eval()(*example)  # the first call makes cached tables, which must not be traced
        model = to_onnx(self.eval(), example, self.input_names, self.output_names, self.axes, opset or self.opset)
        self.finish(model)
        return model


def refuse(layout: str, reason: str) -> CollidekitError:
    """Return the error of a layout with its reason."""
    return CollidekitError(f"layout {layout}: {reason}")


def one_row(generic: Arrays, layout: str) -> None:
    """Raise CollidekitError if generic arrays do not have exactly one row."""
    rows = len(next(iter(generic.values())))
    if rows != 1:
        raise refuse(layout, f"takes one row per call, not {rows}")
