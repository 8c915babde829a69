"""All ROC curves of a leaderboard: background rejection 1/eB against signal efficiency."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from collidekit.benchmark.scoring.board import Board
from collidekit.benchmark.scoring.result import Curve
from collidekit.benchmark.scoring.tables import shown_name, shown_rank
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.few_rows import LEAST_ROWS
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save

NAMED = 10
"""Entries with a colour, a band and a name; further ones are thin grey lines."""
LINES = ("-", "--", "-.", ":")
MARKERS = "osD^vP*X"


def plot_board(stem: Path | None, board: Board) -> Plot:
    """Draw the curves of the ranked entries with 68 % bands, and published results as points.

    The first ten entries have a colour and a name, in the order of the leaderboard; the others are thin grey lines.
    """
    entries = [(row, row.curve) for row in board.rows if row.curve is not None]
    if not entries:
        raise CollidekitError(f"{board.title}: no entry has a ROC curve to draw")
    with figure(8.6, 6.4) as canvas, _without_missing_glyphs():
        axes = canvas.subplots()
        for _, curve in entries[NAMED:]:
            _draw(axes, curve, "0.72", "-", 0.7, 0)
        shown = list(zip(entries[:NAMED], colours(max(len(entries[:NAMED]), 7)), cycle(LINES), strict=False))
        for place, ((_, curve), colour, line) in reversed(list(enumerate(shown))):
            _draw(axes, curve, colour, line, 1.8, 10 - place)
        for (row, _), colour, line in shown:  # the legend in the order of the leaderboard
            axes.plot([], [], color=colour, linestyle=line, label=f"{shown_rank(row)}  {_text(row.name)}")
        if len(entries) > NAMED:
            axes.plot([], [], color="0.72", linewidth=0.7, label=f"{len(entries) - NAMED} more")
        _draw_references(axes, board)
        _finish(axes, [curve for _, curve in entries], _text(board.title))
        return save(canvas, stem)


def _draw(axes: Axes, curve: Curve, colour: str, line: str, width: float, order: float) -> None:
    signal, background, low, high = (
        np.array(values, dtype=float)
        for values in (curve.signal_efficiency, curve.background_efficiency, curve.low, curve.high)
    )
    enough = background * curve.background_rows >= LEAST_ROWS
    if not enough.any():
        return
    axes.plot(signal[enough], 1 / background[enough], color=colour, linestyle=line, linewidth=width, zorder=20 + order)
    if width > 1:
        smallest = 1 / (10 * curve.background_rows)
        axes.fill_between(
            signal[enough], 1 / np.maximum(high[enough], smallest), 1 / np.maximum(low[enough], smallest), color=colour, alpha=0.22,
            linewidth=0, zorder=5 + order,
        )  # fmt: skip


def _draw_references(axes: Axes, board: Board) -> None:
    """Published rejections as grey points at their signal efficiencies."""
    columns = [(column, column.signal_efficiency) for column in board.columns if column.signal_efficiency is not None]
    references = [row for row in board.rows if row.reference and any(c.name in row.scores for c, _ in columns)]
    for row, marker in zip(references, cycle(MARKERS), strict=False):
        points = [(efficiency, row.scores[c.name]) for c, efficiency in columns if c.name in row.scores]
        axes.errorbar(
            [at for at, _ in points], [score.value for _, score in points], [score.error or 0 for _, score in points], fmt=marker,
            color="0.35", markerfacecolor="white", markersize=6, linewidth=1.2, label=f"ref  {_text(row.name)}", zorder=40,
        )  # fmt: skip


def _finish(axes: Axes, curves: Sequence[Curve], note: str) -> None:
    axes.set_yscale("log")
    axes.set_xlim(0, 1)
    rows = max(curve.background_rows for curve in curves)
    axes.set_ylim(1, 10 ** np.ceil(np.log10(max(rows / LEAST_ROWS, 10))))
    axes.set_xlabel(rf"signal efficiency $\varepsilon_S$ ({_text(curves[0].signal)})")
    axes.set_ylabel(rf"background rejection $1/\varepsilon_B$ ({_text(curves[0].background)})")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=10, alignment="left")
    mark(axes, note)


def _text(name: str) -> str:
    return shown_name(name, 28).replace("$", r"\$")


@contextmanager
def _without_missing_glyphs() -> Iterator[None]:
    """Names may have letters that the font does not have; they are drawn as boxes, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+", UserWarning)
        yield
