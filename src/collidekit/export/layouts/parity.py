"""Layouts with two files, one for even and one for odd event numbers."""

from typing import Any, ClassVar

import numpy as np

from collidekit.analysis.expressions import Expression
from collidekit.analysis.schema import Analysis
from collidekit.dataset.parts import Folds
from collidekit.export.layouts.base import Layout, refuse
from collidekit.runtime.schema import Schema

PARITIES = ("even", "odd")
"""Parity of the events of fold 0 and of fold 1, if the fold is the remainder of the event number."""
NUMBERS = np.concatenate([np.arange(10_000), np.random.default_rng(1).integers(1 << 50, size=10_000)])
"""Event numbers on which a selection is evaluated."""


class ByParity(Layout):
    """A layout whose consumer selects one of two files by the event number.

    The two files are two folds by the remainder of the event number: each is for the events that its network held out.
    For a network without folds, whose selection keeps only even or odd events, the option ``apply_to`` (``all``,
    ``even``, ``odd``) names the other events, which the file is for. It determines the file name and the metadata key
    ``apply_to``. The key ``file_order`` has the order of the two files and the rule of the consumer. ``all`` is one
    file, ``model.onnx``, for all events.
    """

    graph_names: ClassVar[tuple[str, ...]]
    files_of: ClassVar[dict[str, str]]
    """The files for even and for odd events."""
    rule: ClassVar[str]
    """Rule by which the consumer numbers the files."""

    @property
    def parity(self) -> str:
        """Return the value of the option ``apply_to``."""
        return self.choice("apply_to", ("all", *PARITIES))

    @property
    def option_names(self) -> list[str]:
        return ["apply_to"]

    def file_name(self, fold: int | None = None) -> str:
        return self.files_of.get(self.parity if fold is None else PARITIES[fold], super().file_name())

    @property
    def events(self) -> str:
        return "" if self.parity == "all" else Folds(2, PARITIES.index(self.parity), "remainder").events

    def check_events(self) -> None:
        if self.parity == "all":
            return
        analysis, other = self.graph.analysis, "odd" if self.parity == "even" else "even"
        learned = selected_parity(analysis)
        if learned == other:
            return
        number = analysis.event[-1] if analysis.event else "event"
        remainder = int(other == "odd")
        raise refuse(
            self.name,
            f"option apply_to: the network may have been trained on {self.parity} events: the selection of its training "
            f"({analysis.selection or 'none'}) keeps {learned} events; train a network with the selection '{number} % 2 == {remainder}' and the "
            f"key 'event: [{number}]' in the analysis file, or leave the option out",
        )

    def metadata(self, schema: Schema) -> dict[str, str]:
        order = ",".join(self.graph_names)
        found = {"file_order": f"{order}: file number {self.rule}"}
        if self.parity == "all":
            return found
        return {"apply_to": self.events, **found}

    def check_folds(self, split: Folds) -> None:
        if "apply_to" in self.options:
            raise refuse(
                self.name, "option apply_to: the folds determine the events of each file; leave the option out"
            )
        if split.k == 2 and split.by_number:
            return
        how = f"the {split.k} folds of this training are defined by {'the remainder' if split.by_number else 'a hash'} of the event number"
        raise refuse(
            self.name,
            f"its consumer selects file number {self.rule}, and {how}, so it would use networks for events that they were trained on; train "
            "with --folds 2 --fold-rule remainder",
        )


def selected_parity(analysis: Analysis) -> str:
    """Return "even" or "odd" if the selection of an analysis keeps only events with such a number, else "all"."""
    if not analysis.selection or not analysis.event:
        return "all"
    kept = np.ones(len(NUMBERS), dtype=bool)
    for term in Expression(analysis.selection).terms():
        try:
            kept &= np.asarray(_of_number(term, analysis)).astype(bool)
        except KeyError:  # depends on more than the event number
            continue
    remainders = np.unique(NUMBERS[kept] % 2).tolist()
    return {(0,): "even", (1,): "odd"}.get(tuple(remainders), "all")


def _of_number(expression: Expression, analysis: Analysis) -> Any:
    """Return the value of an expression for all ``NUMBERS``; raise KeyError if it needs a branch other than the event number."""
    scope: dict[str, Any] = {}
    for name in expression.names:
        is_number = name.strip("`") == analysis.event[-1].strip("`")
        scope[name] = NUMBERS if is_number else _of_number(Expression(analysis.variables[name]), analysis)
    return expression.evaluate(scope)
