"""Rows that a graph was trained on are not predicted by it: that is an error, unless it is asked for."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from attrs import frozen

from collidekit.analysis.schema import Analysis
from collidekit.dataset.arrays import Array, RowArrays
from collidekit.dataset.learned import Content, Known, LearnedFrom
from collidekit.dataset.parts import Folds
from collidekit.errors import CollidekitError
from collidekit.inference.seen import SeenRows, uses
from collidekit.runtime.schema import Graph, Schema

ALLOW = "--allow-training-rows"


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
        allow: bool = False,
    ) -> None:
        self.folder, self.schema, self.members, self.allow = folder, schema, members, allow
        self.seen = SeenRows(members, content_of_file)

    def watch(
        self, parts: Iterable[RowArrays], analysis: Analysis, files: list[str]
    ) -> Iterator[tuple[RowArrays, Array]]:
        """Yield the parts, and which graphs (M, n) predict each row of them.

        Raises CollidekitError after the first file with rows that they were trained on: it says how many.
        """
        refused: Counter[Known] = Counter()
        file, total = -1, 0
        for rows in parts:
            number = int(rows.source[0, 0])
            if number != file:
                self._refuse(refused, total, files, file)
                file, total = number, 0
            states = self.seen.states_of(rows, analysis)
            used = uses(states)
            total += len(rows)
            if not self.allow:
                best = np.where(used, states, Known.NOT).max(axis=0)
                refused += Counter({kind: int((best == kind).sum()) for kind in (Known.TRAINING, Known.MAYBE)})
            if not refused:  # else the file is only read to its end, to count
                yield rows, used
        self._refuse(refused, total, files, file)

    def _refuse(self, refused: Mapping[Known, int], total: int, files: list[str], file: int) -> None:
        if not sum(refused.values()):
            return
        training, maybe = refused.get(Known.TRAINING, 0), refused.get(Known.MAYBE, 0)
        where = f"{files[file]}: {training or maybe:,} of {total:,} selected rows"
        what = (
            f"are rows that {self.folder} was trained on ({self._rule()})"
            if training
            else f"are of a file that {self.folder} was trained on with another analysis, so which of them it learned from cannot be told"
        )
        raise CollidekitError(f"{where} {what}; predict other rows, or pass {ALLOW} to predict these all the same")

    def _rule(self) -> str:
        """The rule by which rows of its files were chosen for training, in words."""
        learned = [entry for member in self.members.values() for entry in member.learned_from]
        if any(isinstance(entry.split, Folds) for entry in learned):
            held = sorted(m.graph.fold for m in self.members.values() if m.graph.fold is not None)
            folds = f"; its graphs held out only fold {', '.join(map(str, held))}" if held else ""
            rule = self.schema.fold_rule or "the fold of a row is a hash of its event number"
            return f"{rule}{folds}"
        shares = sorted({entry.split.share for entry in learned})
        return f"it took {', '.join(f'{share:.0%}' for share in shares)} of the rows of this file, by a hash of the event number or inputs"
