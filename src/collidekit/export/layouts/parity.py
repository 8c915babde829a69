"""Pairs of files of which a reader takes one by the event number, even or odd: which file may be used on which events."""

from typing import ClassVar

from collidekit.export.layouts.base import Layout, refuse
from collidekit.runtime.schema import Schema

WORDS = {
    "even": "events with an even event number (event number % 2 == 0)",
    "odd": "events with an odd event number (event number % 2 == 1)",
}


class ByParity(Layout):
    """A layout whose reader takes one of two files by the event number.

    The option ``apply_to`` (``all``, ``even``, ``odd``) says which events this file may be used on: those that the network has not
    learned from. It decides the name of the file, and stands in words in the metadata key ``apply_to``; ``file_order`` says the order
    of the two files and the rule. ``all`` is one file, ``model.onnx``, for every event, and leaves ``apply_to`` to the bundle.
    """

    graph_names: ClassVar[tuple[str, ...]]
    files_of: ClassVar[dict[str, str]]
    """The file of even and of odd events."""
    rule: ClassVar[str]
    """Numbering of the files by the reader."""

    @property
    def parity(self) -> str:
        """Return the pair of files that the option ``apply_to`` names."""
        return self.choice("apply_to", ("all", "even", "odd"))

    @property
    def option_names(self) -> list[str]:
        return ["apply_to"]

    def file_name(self, fold: int | None = None) -> str:
        return self.files_of.get(self.parity, super().file_name(fold))

    def metadata(self, schema: Schema) -> dict[str, str]:
        order = ",".join(self.graph_names)
        found = {"file_order": f"{order}: file number {self.rule}"}
        return found if self.parity == "all" else {"apply_to": WORDS[self.parity], **found}

    def check_folds(self, folds: int) -> None:
        raise refuse(
            self.name,
            f"its reader takes file number {self.rule}, and the {folds} folds of this training go by a hash of the event number, so it "
            "would use networks on events that they learned from; train one network on events with an even and one on events with an "
            "odd event number, by the selection of the analysis, and export each with the option apply_to",
        )
