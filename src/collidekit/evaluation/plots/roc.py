"""ROC curves in the two conventions of the field, with bootstrap bands."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator

from collidekit.evaluation.classification.bootstrap import GRID
from collidekit.evaluation.classification.few_rows import LEAST_ROWS
from collidekit.evaluation.classification.roc_result import RocResult
from collidekit.evaluation.look import class_label, discriminator_label
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, plain_log_axis, save, with_ratio
from collidekit.evaluation.rows import Floats

RocStyle = Literal["b-tagging", "top-tagging"]
LINES = ("-", "--", "-.", ":")
LOG_RATIO = 5
"""Maximum range (largest over smallest number) of a linear ratio panel."""
RANDOM: dict[str, Any] = {"color": "0.55", "linestyle": (0, (1, 2)), "linewidth": 1.3}
"""Line style of a random score."""


@dataclass(frozen=True)
class _Drawn:
    """Drawn parts of a result: points of the curve (P,), points of the grid with a band (G,), and the limit where the curve ends."""

    signal: Floats
    background: Floats
    band: tuple[Floats, Floats, Floats]
    limit: float
    """Upper limit of the background efficiency at 95 % confidence where too few rows survive."""

    @classmethod
    def of(cls, result: RocResult) -> "_Drawn":
        """Cut off a curve where fewer than ``LEAST_ROWS`` background rows survive: the part to the left becomes a limit."""
        curve, points = result.curve, result.curve.thinned()
        points = points[(curve.kept_background[points] >= LEAST_ROWS) & (curve.background_efficiencies[points] > 0)]
        if not len(points):  # a background of one or two rows
            points = np.array([len(curve.signal_efficiencies) - 1])
        signal, background = curve.signal_efficiencies[points], curve.background_efficiencies[points]
        low, high = result.replicates.band
        kept = signal[0] <= GRID
        floor = background.min() / 2
        band = (GRID[kept], np.maximum(low[kept], floor), np.maximum(high[kept], floor))
        return cls(signal, background, band, result.curve.limit)

    @property
    def smallest(self) -> float:
        """Return the smallest background efficiency that is drawn."""
        return (
            min(float(self.background.min()), self.limit) if self.signal[0] > GRID[0] else float(self.background.min())
        )


def plot_roc(
    stem: str | Path | None, results: Sequence[RocResult], style: RocStyle = "b-tagging", note: str = ""
) -> Plot:
    """Draw background efficiency (b-tagging) or rejection 1/eB (top-tagging) against signal efficiency.

    Several results of the same signal and background get a panel with the ratio to the first. The curve ends where fewer than three
    background rows survive; there a line with an arrow is the limit at 95 % confidence. The dotted line is a random guess.
    """
    comparable = len(results) > 1 and len({(r.signal, r.background) for r in results}) == 1
    with figure(7.0, 7.0 if comparable else 6.0) as canvas:
        if comparable:
            axes, ratio = with_ratio(canvas)[:, 0]
            _draw_ratios(ratio, results, style)
            bottom = ratio
        else:
            axes = bottom = canvas.subplots()
        drawn = [_Drawn.of(result) for result in results]
        _axes(axes, results, drawn, style)
        _draw_curves(axes, results, drawn, style)
        _legend(axes, results, drawn, style)
        bottom.set_xlabel(r"signal efficiency $\varepsilon_S$" + _common_name([r.signal for r in results]))
        mark(axes, note)
        return save(canvas, stem)


def _draw_curves(axes: Axes, results: Sequence[RocResult], drawn: Sequence[_Drawn], style: RocStyle) -> None:
    for result, shown, colour, line in zip(results, drawn, colours(len(results)), cycle(LINES), strict=False):
        label = f"{_legend_name(result, results)}AUC = {with_error(result.auc, result.auc_error)}"
        axes.plot(shown.signal, _as_drawn(shown.background, style), color=colour, linestyle=line, label=label)
        grid, low, high = shown.band
        axes.fill_between(grid, _as_drawn(low, style), _as_drawn(high, style), color=colour, alpha=0.25, linewidth=0)
        if shown.signal[0] > GRID[0]:
            _draw_limit(axes, float(shown.signal[0]), float(_as_drawn(np.array(shown.limit), style)), colour, style)
    guess = np.geomspace(min(entry.smallest for entry in drawn) / 10, 1, 200)
    axes.plot(guess, _as_drawn(guess, style), label="random guess", **RANDOM)


def _draw_limit(axes: Axes, end: float, value: float, colour: str, style: RocStyle) -> None:
    """Draw a line from 0 to the end of the curve, with an arrow towards the true curve."""
    axes.plot([0, end], [value, value], color=colour, linewidth=1.0)
    away = 14 if style == "top-tagging" else -14
    arrow = {"arrowstyle": "<-", "color": colour, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end / 2, value), (0, away), textcoords="offset points", arrowprops=arrow)


def _axes(axes: Axes, results: Sequence[RocResult], drawn: Sequence[_Drawn], style: RocStyle) -> None:
    """Set scales and labels, with room above the curves for one line of the legend each."""
    smallest = min(entry.smallest for entry in drawn)
    axes.set_yscale("log")
    axes.set_xlim(0, 1)
    background = _common_name([r.background for r in results])
    low, top = (smallest / 2.2, 1.0) if style == "b-tagging" else (1.0, 2.2 / smallest)
    room = 0.06 + 0.055 * (len(results) + _more_lines(results))
    axes.set_ylim(low, top * (top / low) ** (room / (1 - room)))
    if style == "b-tagging":
        axes.set_ylabel(r"background efficiency $\varepsilon_B$" + background)
        decades: Any = LogLocator(numticks=9).tick_values(low, top)
        axes.yaxis.set_major_locator(FixedLocator(decades[(decades >= low) & (decades <= top)]))
        minor: Any = LogLocator(subs="auto", numticks=99).tick_values(low, top)
        axes.yaxis.set_minor_locator(FixedLocator(minor[(minor >= low) & (minor <= top)]))
    else:
        axes.set_ylabel(r"background rejection $1/\varepsilon_B$" + background)


def _more_lines(results: Sequence[RocResult]) -> int:
    """Return the number of additional lines of the legend: its title, and the meaning of dotted lines and arrows."""
    same = len({(r.signal, r.background) for r in results}) == 1
    return 1 + same


def _legend(axes: Axes, results: Sequence[RocResult], drawn: Sequence[_Drawn], style: RocStyle) -> None:
    same = len({(r.signal, r.background) for r in results}) == 1
    title = f"{class_label(results[0].signal)} vs {class_label(results[0].background)}" if same else None
    handles, labels = axes.get_legend_handles_labels()
    if any(entry.signal[0] > GRID[0] for entry in drawn):
        labels[-1] += "; arrows: limits at 95 % confidence"
    axes.legend(handles, labels, loc="upper left", title=title, alignment="left", borderaxespad=0.6)


def _draw_ratios(axes: Axes, results: Sequence[RocResult], style: RocStyle) -> None:
    first = results[0]
    shown: list[float] = [1.0]
    reference = _on_grid(first)
    drawn = zip(results, colours(len(results)), cycle(LINES), strict=False)
    for result, colour, line in list(drawn)[1:]:
        value, spread = _ratio(result, first, style)
        enough = (reference * first.background_rows >= LEAST_ROWS) & np.isfinite(value)
        enough &= _on_grid(result) * result.background_rows >= LEAST_ROWS
        if not enough.any():
            continue
        axes.plot(GRID[enough], value[enough], color=colour, linestyle=line)
        low, high = value - spread, value + spread
        axes.fill_between(GRID[enough], low[enough], high[enough], color=colour, alpha=0.25, linewidth=0)
        shown += [float(np.quantile(low[enough], 0.05)), float(np.quantile(high[enough], 0.95))]
    axes.axhline(1, color=colours(len(results))[0])
    lowest, top = min(shown), max(shown)
    if top > LOG_RATIO * max(lowest, 1e-3):
        axes.set_ylim(max(lowest, 1e-3) / 1.3, 1.3 * top)
        plain_log_axis(axes)
    else:
        axes.set_ylim(max(0, lowest - 0.1), top + 0.1)
    axes.set_ylabel(f"ratio to\n{discriminator_label(first.name)}", fontsize=11, loc="center")


def _ratio(result: RocResult, first: RocResult, style: RocStyle) -> tuple[Floats, Floats]:
    """Return the ratio of the drawn quantity and its error, each (G,); the error is paired for the same rows."""
    ours, theirs = _on_grid(result), _on_grid(first)
    a, b = (result.replicates, first.replicates) if style == "b-tagging" else (first.replicates, result.replicates)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = ours / theirs if style == "b-tagging" else theirs / ours
        above, below = (ours, theirs) if style == "b-tagging" else (theirs, ours)
        relative_a, relative_b = (
            np.nan_to_num(x, posinf=0, neginf=0) for x in (a.curve / above - 1, b.curve / below - 1)
        )
        if a.rows == b.rows and a.curve.shape == b.curve.shape and a.seed == b.seed:
            spread = np.std(relative_a - relative_b, axis=0)
        else:
            spread = np.hypot(np.std(relative_a, axis=0), np.std(relative_b, axis=0))
        value = np.where(np.isfinite(value), value, np.nan)
        return value, value * spread


def _on_grid(result: RocResult) -> Floats:
    return result.curve.background_efficiencies[result.curve.points(GRID)]


def _as_drawn(efficiency: Floats, style: RocStyle) -> Floats:
    safe = np.maximum(efficiency, 1e-12)
    return np.asarray(1 / safe if style == "top-tagging" else safe)


def _legend_name(result: RocResult, results: Sequence[RocResult]) -> str:
    name = discriminator_label(result.name)
    if len({(r.signal, r.background) for r in results}) > 1:
        return f"{name} ({class_label(result.signal)} vs {class_label(result.background)}), "
    return f"{name}, "


def _common_name(names: Sequence[str]) -> str:
    return f" ({class_label(names[0])})" if len(set(names)) == 1 else ""
