"""Significance of a selection against coverage, random seed, a scanned variable and epoch."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from collidekit.errors import CollidekitError
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots.relegation import LINES, class_colours, legend_above
from collidekit.evaluation.plots.style import Plot, figure, mark, save, with_ratio
from collidekit.evaluation.plots.training import MANY_EPOCHS, epoch_axis
from collidekit.evaluation.rows import Floats

SIGNIFICANCE = r"significance $S/\sqrt{S+B}$"
BEST = "best possible"
MARKERS = "os^vDP*X"
LOG_RATIO = 20
"""Maximum range (largest over smallest number) of a linear axis."""
BEST_LINE: dict[str, Any] = {"color": "black", "linestyle": (0, (6, 2)), "linewidth": 1.4}
SEED: dict[str, Any] = {"fmt": "o", "elinewidth": 0.9, "markersize": 5}
MEAN: dict[str, Any] = {"fmt": "D", "color": "black", "markersize": 6, "capsize": 4, "elinewidth": 1.8}
RARE = 0.1
"""Minimum coverage at the maxima of the curves for a linear axis."""


def plot_significance_coverage(
    stem: Path | None,
    curves: Sequence[tuple[str, Floats, Floats, Floats]],
    points: Sequence[tuple[str, float, float, float]],
    best: float | None = None,
    note: str = "",
    measure: str = SIGNIFICANCE,
) -> Plot:
    """Draw curves (name, coverage, significance, error) of arrays (M,) with bands, and a point for each network's own decision.

    A point has the colour of the curve of its name. ``best`` is a line.
    """
    names = list(dict.fromkeys([name for name, *_ in (*curves, *points)]))
    if not names:
        raise CollidekitError("no curve and no point of significance: nothing to draw")
    colour = dict(zip(names, class_colours(len(names)), strict=True))
    with figure() as canvas:
        axes = canvas.subplots()
        for (name, coverage, value, error), line in zip(curves, cycle(LINES), strict=False):
            axes.plot(coverage, value, color=colour[name], linestyle=line, label=name)
            axes.fill_between(coverage, value - error, value + error, color=colour[name], alpha=0.22, linewidth=0)
        for (name, kept, found, spread), marker in zip(points, cycle(MARKERS), strict=False):
            style: dict[str, Any] = {"markersize": 7, "markeredgecolor": "black", "ecolor": "black", "zorder": 4}
            axes.errorbar(kept, found, spread, fmt=marker, color=colour[name], label=f"{name}, own decision", **style)
        if best is not None:
            axes.axhline(best, label=f"{BEST}, {best:.4g}", **BEST_LINE)
        tops = [coverage[np.nanargmax(value)] for _, coverage, value, _ in curves if np.isfinite(value).any()]
        tops += [kept for _, kept, _, _ in points]
        if max(tops, default=1.0) < RARE:
            axes.set_xscale("log")
            axes.set_xlim(right=1)
        else:
            axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("coverage: fraction of events kept")
        axes.set_ylabel(measure)
        legend_above(axes, len(curves) + len(points) + (best is not None))
        mark(axes, note)
        return save(canvas, stem)


def plot_significance_seeds(
    stem: Path | None,
    rows: Sequence[tuple[str, Floats, Floats]],
    best: float | None = None,
    note: str = "",
    measure: str = SIGNIFICANCE,
) -> Plot:
    """Draw a line for each (variant, significances (T,), statistical errors (T,)) of T seeds, with their mean and spread.

    The spread is the standard deviation over seeds, not the error of the mean; a single seed has none.
    """
    if not rows:
        raise CollidekitError("no variant has a significance: nothing to draw")
    with figure(8.6, 2.2 + 0.75 * len(rows)) as canvas:
        axes = canvas.subplots()
        for line, ((_, values, errors), colour) in enumerate(zip(rows, class_colours(len(rows)), strict=True)):
            _draw_seeds(axes, line, values, errors, colour)
        _name_marks(axes, any(len(values) > 1 for _, values, _ in rows))
        if best is not None:
            axes.axvline(best, label=f"{BEST}, {best:.4g}", **BEST_LINE)
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.tick_params(axis="y", which="both", length=0)
        axes.yaxis.minorticks_off()
        axes.grid(axis="x", color="0.9", linewidth=0.8, zorder=0)
        axes.set_axisbelow(True)
        axes.set_xlabel(measure)
        for line, (_, values, _) in enumerate(rows):
            text = with_error(float(values.mean()), _spread(values)) if len(values) > 1 else f"{values[0]:.4g}"
            axes.text(1.015, line, text, transform=axes.get_yaxis_transform(), va="center", fontsize=11)
        canvas.legend(loc="outside lower center", ncols=3)
        mark(axes, note)
        return save(canvas, stem)


def _draw_seeds(axes: Axes, line: int, values: Floats, errors: Floats, colour: str) -> None:
    """Draw the seeds above the middle of their line and the mean below it; a single seed has no mean."""
    places = line + np.linspace(-0.28, 0.0, len(values))
    if len(values) > 1:
        axes.errorbar(values, places, xerr=errors, color=colour, **SEED)
        axes.errorbar(values.mean(), line + 0.2, xerr=_spread(values), **MEAN)
    else:
        axes.errorbar(values, [line], xerr=errors, color=colour, **SEED)


def _name_marks(axes: Axes, several: bool) -> None:
    """Add entries to the legend that have the colour of no variant."""
    nowhere = [np.nan]
    axes.errorbar(nowhere, nowhere, xerr=nowhere, color="grey", label="a seed, statistical error", **SEED)
    if several:
        axes.errorbar(nowhere, nowhere, xerr=nowhere, label="mean and spread over seeds", **MEAN)
        axes.text(1.015, 1.0, "mean ± spread", transform=axes.transAxes, va="bottom", fontsize=11)


def _spread(values: Floats) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def plot_scan(
    stem: Path | None,
    x: Floats,
    label: str,
    rows: Sequence[tuple[str, Floats, Floats]],
    best: Floats | None = None,
    note: str = "",
    measure: str = SIGNIFICANCE,
) -> Plot:
    """Draw each (variant, means (X,), spreads (X,)) against ``x`` (X,), whose name and unit is ``label``.

    ``best`` (X,) is a line, and the panel below is the ratio to it.
    """
    if not rows or not len(x):
        raise CollidekitError(f"no significance to draw against {label}")
    order = np.argsort(x, kind="stable")
    logarithmic = _spans_decades(x)
    with figure(7.0, 7.0 if best is not None else 6.0) as canvas:
        panels = list(with_ratio(canvas)[:, 0]) if best is not None else [canvas.subplots()]
        reference = [None] if best is None else [None, best]
        for panel, base in zip(panels, reference, strict=True):
            if logarithmic:
                panel.set_xscale("log")
            for index, (name, mean, spread) in enumerate(rows):
                scale = np.ones(len(x)) if base is None else np.where(base > 0, base, np.nan)
                aside = best is None or base is not None  # a marker beside its x would seem above or below a steep line
                places = _shift_sideways(x, index - (len(rows) - 1) / 2, logarithmic) if aside else x
                marker, colour = MARKERS[index % len(MARKERS)], class_colours(len(rows))[index]
                style: dict[str, Any] = {"fmt": marker, "color": colour, "linestyle": LINES[index % len(LINES)]}
                style |= {"markersize": 6, "linewidth": 1.2, "elinewidth": 1.4, "capsize": 2.5, "label": name}
                panel.errorbar(places[order], (mean / scale)[order], (spread / scale)[order], **style)
        main, bottom = panels[0], panels[-1]
        values = np.concatenate([mean for _, mean, _ in rows])
        if _spans_decades(values):
            main.set_yscale("log")
        else:
            main.set_ylim(bottom=0)
        if best is not None:
            main.plot(x[order], best[order], label=BEST, **BEST_LINE)
            bottom.axhline(1, **BEST_LINE)
            low, high = bottom.get_ylim()
            bottom.set_ylim(max(low, 0), max(high, 1 + 0.15 * (1 - low)))
            bottom.set_ylabel(f"ratio to\n{BEST}", fontsize=11, loc="center")
        legend_above(main, len(rows) + (best is not None))
        main.set_ylabel(measure)
        bottom.set_xlabel(label)
        mark(main, note)
        canvas.align_ylabels()
        return save(canvas, stem)


def _spans_decades(values: Floats) -> bool:
    shown = values[np.isfinite(values)]
    return len(shown) > 1 and bool(shown.min() > 0) and float(shown.max() / shown.min()) > LOG_RATIO


def _shift_sideways(x: Floats, steps: float, logarithmic: bool) -> Floats:
    """Return positions of a variant slightly beside x, so that error bars do not overlap."""
    if len(x) < 2:
        return x
    if logarithmic:
        return np.asarray(x * (x.max() / x.min()) ** (0.008 * steps))
    return np.asarray(x + 0.008 * steps * (x.max() - x.min()))


def plot_significance_epochs(
    stem: Path | None, panels: Sequence[tuple[str, Sequence[tuple[str, Floats, Floats]]]], note: str = ""
) -> Plot:
    """Draw panels (axis label, curves (name, epochs (E,), values (E,))) above one another.

    A name has the same colour and line in all panels, and is in the legend of the first panel that has it.
    """
    names = list(dict.fromkeys(name for _, curves in panels for name, _, _ in curves))
    if not names:
        raise CollidekitError("no curve of an epoch: nothing to draw")
    styles = dict(zip(names, zip(class_colours(len(names)), cycle(LINES), strict=False), strict=True))
    seen: set[str] = set()
    with figure(7.0, 1.2 + 2.3 * len(panels)) as canvas:
        grid = canvas.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (label, curves) in zip(grid, panels, strict=True):
            for name, epochs, values in curves:
                colour, line = styles[name]
                shown = "_" + name if name in seen else name  # matplotlib lists no name with an underscore
                dots: dict[str, Any] = {"marker": "o", "markersize": 4} if len(epochs) <= MANY_EPOCHS else {}
                axes.plot(epochs, values, color=colour, linestyle=line, label=shown, **dots)
            if {name for name, *_ in curves} - seen:
                axes.legend(loc="best")
            seen |= {name for name, *_ in curves}
            axes.set_ylabel(label)
        epoch_axis(grid[-1])
        mark(grid[0], note)
        canvas.align_ylabels()
        return save(canvas, stem)
