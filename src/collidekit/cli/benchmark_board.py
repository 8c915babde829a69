"""The leaderboard as a table for the terminal, which never cuts a number."""

from collections.abc import Sequence

from attrs import evolve, frozen
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from collidekit.benchmark.scoring.board import Board, Row
from collidekit.benchmark.scoring.labels import shown_runs, shown_score
from collidekit.benchmark.scoring.tables import TIES, has_ensembles, shown_name, shown_rank
from collidekit.plain_text import without_controls

GAP = 2
"""Spaces between columns."""
NAME = 20
"""Width to which names are wrapped before metrics are left out."""
SHORTEST = 8
"""Width of names where not even one metric fits beside them."""


@frozen
class _Part:
    """A column of the table with its width."""

    title: str
    cells: list[str]
    width: int

    @classmethod
    def of(cls, title: str, cells: Sequence[str]) -> "_Part":
        return cls(title, list(cells), max(map(cell_len, (title, *cells))))

    def wrapped(self) -> "_Part":
        """Return the column with a title of several lines."""
        lines = [line for cell in self.cells for line in cell.split("\n")]
        return evolve(self, width=max(map(cell_len, (*self.title.split(), *lines))))

    def stacked(self) -> "_Part":
        """Return the column with errors below their values."""
        return evolve(self, cells=[cell.replace(" ± ", "\n± ") for cell in self.cells]).wrapped()


class BoardTable:
    """A leaderboard; ties share a rank, published results have none, entries without scores follow with the reason.

    In a narrow terminal titles are wrapped, then errors stand below their values, then metrics are left out: those that rank
    come first.
    """

    def __init__(self, board: Board) -> None:
        self._board = board

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        board = self._board
        if not board.rows and not board.unranked:
            yield Text("no submission has a score yet")
            return
        parts, left_out = self._fitted(options.max_width)
        yield _table(parts, [row.reference for row in board.rows])
        if left_out:
            yield Text(
                f"not shown in {options.max_width} columns: {', '.join(left_out)}; write all metrics with -o board.csv, or use a "
                "wider terminal"
            )
        if any(row.tied for row in board.rows):
            yield Text(TIES)
        for entry in board.unranked:
            yield Text(f"not ranked: {shown_name(entry.name)}: {shown_name(entry.reason, 300)}")

    def _fitted(self, width: int) -> tuple[list[_Part], list[str]]:
        """Return the columns that fit, and the labels of the metrics that are left out."""
        rank, name, *others = self._fixed()
        metrics = [self._metric(place) for place in range(len(self._board.columns))]
        small = evolve(name, width=min(name.width, NAME))
        if _width([rank, name, *metrics, *others]) <= width:
            return [rank, name, *metrics, *others], []

        def joined(shown: Sequence[_Part]) -> list[_Part]:
            """Return all columns; the name takes the room that is left."""
            room = width - _width([rank, small, *shown, *others])
            wide = evolve(name, width=min(name.width, max(small.width + room, SHORTEST)))
            return [rank, wide, *shown, *others]

        stacked = [metric.stacked() for metric in metrics]
        for shown in ([metric.wrapped() for metric in metrics], stacked):
            if _width([rank, small, *shown, *others]) <= width:
                return joined(shown), []
        places = self._by_rank()
        chosen = places[:1]
        for place in places[1:]:
            if _width([rank, small, *(stacked[one] for one in [*chosen, place]), *others]) <= width:
                chosen.append(place)
        return joined([stacked[place] for place in chosen]), [
            metrics[place].title for place in places if place not in chosen
        ]

    def _by_rank(self) -> list[int]:
        """Return the places of the metrics, those that rank first."""
        names = [column.name for column in self._board.columns]
        ranks = [names.index(name) for name in self._board.order if name in names]
        return [*ranks, *(place for place in range(len(names)) if place not in ranks)]

    def _metric(self, place: int) -> _Part:
        column = self._board.columns[place]
        scores = [row.scores.get(column.name) for row in self._board.rows]
        texts = ["-" if score is None else shown_score(score, column.precision) for score in scores]
        return _Part.of(" ".join(without_controls(column.label).split()), texts)

    def _fixed(self) -> list[_Part]:
        """Return the columns that are always shown: rank, name, runs of ensembles, and the number of the run."""
        rows = self._board.rows
        found = [
            _Part.of("rank", ["" if row.rank is None else shown_rank(row) for row in rows]),
            _Part.of("submission", [_name(row) for row in rows]),
        ]
        if has_ensembles(self._board):
            found.append(_Part.of("runs", [shown_runs(row.runs, row.runs_left_out) for row in rows]))
        return [*found, _Part.of("run", ["" if row.run is None else str(row.run) for row in rows])]


def _name(row: Row) -> str:
    return shown_name(row.name) + (f" ({shown_name(row.source, 300)})" if row.reference else "")


def _width(parts: Sequence[_Part]) -> int:
    return sum(part.width for part in parts) + GAP * (len(parts) - 1)


def _table(parts: Sequence[_Part], grey: Sequence[bool]) -> Table:
    found = Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0))
    for part in parts:
        found.add_column(Text(part.title), width=part.width, overflow="fold")
    for cells, reference in zip(zip(*(part.cells for part in parts), strict=True), grey, strict=True):
        found.add_row(*map(Text, cells), style="bright_black" if reference else None)
    return found
