"""Refusal of rows that a graph was trained on, and the choice of the graph for each row."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from collidekit.analysis.schema import Analysis
from collidekit.dataset.arrays import Array, RowArrays
from collidekit.dataset.learned import Content, LearnedFrom
from collidekit.inference.seen import Refusal, SeenRows, rule_of, uses
from collidekit.runtime.schema import Graph, Schema


@frozen
class Member:
    """A graph of a bundle, with the rows that it was trained on."""

    graph: Graph
    learned_from: tuple[LearnedFrom, ...]


class Guard:
    """Finds training rows of the graphs of a bundle, and selects the graphs that predict each row.

    A row that a graph held out as its fold is predicted only by graphs that were not trained on it, any other row by
    all graphs.
    """

    def __init__(
        self,
        folder: Path,
        schema: Schema,
        members: Mapping[str, Member],
        content_of_file: Callable[[int], Content],
        files: list[str],
        allow: bool = False,
    ) -> None:
        learned = [entry for member in members.values() for entry in member.learned_from]
        refusal = None if allow else Refusal(files, str(folder), rule_of(learned, schema.fold_rule))
        self.seen = SeenRows(members, content_of_file, refusal)

    def watch(self, parts: Iterable[RowArrays], analysis: Analysis) -> Iterator[tuple[RowArrays, Array]]:
        """Yield the parts, with flags (M, n) of the graphs that predict each row.

        Raises CollidekitError, with their number, after the first file with training rows of these graphs.
        """
        for rows in self.seen.watch(parts, list(self.seen.members), analysis):
            yield rows, uses(self.seen.newest)
