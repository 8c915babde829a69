"""Rows that a graph was trained on are not predicted by it: that is an error, unless it is asked for."""

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
    """A graph of a bundle and the rows that it was trained on."""

    graph: Graph
    learned_from: tuple[LearnedFrom, ...]


class Guard:
    """Knowledge of the graphs of a bundle about the rows that they are to predict, and the choice of the graph for each row.

    A row that a graph held out as its fold is left to the graphs that did not learn from it; any other row is for all of them.
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
        """Yield the parts, and which graphs (M, n) predict each row of them.

        Raises CollidekitError after the first file with rows that they were trained on: it says how many.
        """
        for rows in self.seen.watch(parts, list(self.seen.members), analysis):
            yield rows, uses(self.seen.newest)
