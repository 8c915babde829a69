"""ROC curves in the two ways of the field, with bootstrap bands."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes

from collidekit.evaluation.classification.bootstrap import GRID
from collidekit.evaluation.classification.roc_result import RocResult
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save, with_ratio
from collidekit.evaluation.rows import Floats

RocStyle = Literal["b-tagging", "top-tagging"]
LINES = ("-", "--", "-.", ":")
LEAST_ROWS = 3
"""The curve is shown down to the efficiency at which this many background rows survive."""


def plot_roc(
    stem: str | Path | None, results: Sequence[RocResult], style: RocStyle = "b-tagging", note: str = ""
) -> Plot:
    """b-tagging: background efficiency against signal efficiency; top-tagging: rejection 1/eB against it.

    Several results of the same signal and background get a panel with the ratio to the first.
    """
    comparable = len(results) > 1 and len({(r.signal, r.background) for r in results}) == 1
    with figure(7.0, 7.0 if comparable else 6.0) as canvas:
        if comparable:
            axes, ratio = with_ratio(canvas)[:, 0]
            _draw_ratios(ratio, results, style)
            bottom = ratio
        else:
            axes = bottom = canvas.subplots()
        _draw_curves(axes, results, style)
        _axes(axes, results, style)
        bottom.set_xlabel(r"signal efficiency $\varepsilon_S$" + _one_name([r.signal for r in results]))
        mark(axes, note)
        return save(canvas, stem)


def _draw_curves(axes: Axes, results: Sequence[RocResult], style: RocStyle) -> None:
    for result, colour, line in zip(results, colours(len(results)), cycle(LINES), strict=False):
        points = result.curve.thinned()
        points = points[result.curve.background_efficiencies[points] > 0]
        efficiency, low, high = (
            _as_drawn(values, style)
            for values in (result.curve.background_efficiencies[points], *result.replicates.band)
        )
        label = f"{_legend_name(result, results)}AUC = {with_error(result.auc, result.auc_error)}"
        axes.plot(result.curve.signal_efficiencies[points], efficiency, color=colour, linestyle=line, label=label)
        axes.fill_between(GRID, low, high, color=colour, alpha=0.25, linewidth=0)


def _axes(axes: Axes, results: Sequence[RocResult], style: RocStyle) -> None:
    smallest = min(LEAST_ROWS / result.background_rows for result in results)
    decade = 10 ** np.floor(np.log10(min(smallest, 0.05)))
    axes.set_yscale("log")
    axes.set_xlim(0, 1)
    background = _one_name([r.background for r in results])
    same = len({(r.signal, r.background) for r in results}) == 1
    title = f"{results[0].signal} vs {results[0].background}" if same else None
    if style == "top-tagging":
        for_legend = 1 + 0.07 * len(results) if len(results) > 1 else 1  # steep curves end where it stands
        axes.set_ylim(1, (1 / decade) ** for_legend)
        axes.set_ylabel(r"background rejection $1/\varepsilon_B$" + background)
        axes.legend(loc="upper right", title=title, alignment="left", frameon=True, framealpha=0.85, edgecolor="none")
    else:
        axes.set_ylim(decade, 1)
        axes.set_ylabel(r"background efficiency $\varepsilon_B$" + background)
        axes.legend(loc="best", title=title, alignment="left")


def _draw_ratios(axes: Axes, results: Sequence[RocResult], style: RocStyle) -> None:
    first, shown = results[0], [1.0]
    reference = _on_grid(first)
    drawn = zip(results, colours(len(results)), cycle(LINES), strict=False)
    for result, colour, line in list(drawn)[1:]:
        value, spread = _ratio(result, first, style)
        enough = (reference * first.background_rows >= LEAST_ROWS) & np.isfinite(value)
        axes.plot(GRID[enough], value[enough], color=colour, linestyle=line)
        low, high = value - spread, value + spread
        axes.fill_between(GRID[enough], low[enough], high[enough], color=colour, alpha=0.25, linewidth=0)
        shown += [float(np.quantile(low[enough], 0.05)), float(np.quantile(high[enough], 0.95))]
    axes.axhline(1, color=colours(len(results))[0])
    axes.set_ylim(max(0, min(shown) - 0.1), min(max(shown) + 0.1, 6))
    axes.set_ylabel(f"ratio to\n{first.name}", fontsize=11, loc="center")


def _ratio(result: RocResult, first: RocResult, style: RocStyle) -> tuple[Floats, Floats]:
    """Ratio of the drawn quantity and its error, each (G,): paired where both were measured on the same rows."""
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
    return 1 / safe if style == "top-tagging" else safe


def _legend_name(result: RocResult, results: Sequence[RocResult]) -> str:
    if len({(r.signal, r.background) for r in results}) > 1:
        return f"{result.name} ({result.signal} vs {result.background}), "
    return f"{result.name}, "


def _one_name(names: Sequence[str]) -> str:
    return f" ({names[0]})" if len(set(names)) == 1 else ""
