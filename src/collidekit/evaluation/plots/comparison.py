"""ROC curves of several taggers, and the ratios to the first one."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from collidekit.evaluation.classification.bootstrap import GRID
from collidekit.evaluation.classification.few_rows import LEAST_ROWS
from collidekit.evaluation.comparison.curves import ComparedCurve
from collidekit.evaluation.look import class_label
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots.roc import RocStyle
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save, with_ratio
from collidekit.evaluation.rows import Floats

NOMINAL, ATTACKED, OF_FILES = "-", "--", "-."
"""Line styles of taggers on nominal rows, of taggers on attacked rows, and of scores from the files."""
LETTERS = 82
"""Maximum number of letters in a line of the legend."""


def plot_compared(
    stem: Path | None, curves: Sequence[ComparedCurve], style: RocStyle = "top-tagging", note: str = ""
) -> Plot:
    """Draw background efficiency (b-tagging) or rejection 1/eB (top-tagging) against signal efficiency.

    The panel below shows the ratio to the first curve, with the paired error if both have the same rows. Curves end where fewer than
    three background rows survive.
    """
    handles = [_handle(curve, look) for curve, look in zip(curves, _line_styles(curves), strict=True)]
    lines = sum(str(handle.get_label()).count("\n") + 1 for handle in handles)
    with figure(7.0, 6.6 + 0.24 * lines) as canvas:
        main, ratio = with_ratio(canvas)[:, 0]
        heights = []
        for curve, look in zip(curves, _line_styles(curves), strict=True):
            heights.append(_draw(main, curve, style, look))
            if curve is not curves[0]:
                _draw_ratio(ratio, curve, curves[0], style, look)
        _finish(main, heights, curves, style)
        ratio.axhline(1, color=_line_styles(curves)[0]["color"], linewidth=1.2)
        _limit_ratio(ratio)
        ratio.set_ylabel("ratio to\nthe first", fontsize=11, loc="center")
        ratio.set_xlabel(rf"signal efficiency $\varepsilon_S$ ({class_label(curves[0].first.signal)})")
        canvas.legend(handles=handles, loc="outside lower left", fontsize=10, handlelength=2.6)
        mark(main, note)
        return save(canvas, stem)


def _line_styles(curves: Sequence[ComparedCurve]) -> list[dict[str, Any]]:
    return [
        {
            "color": colour,
            "linestyle": OF_FILES if curve.contender.is_tagger else ATTACKED if curve.contender.attack else NOMINAL,
        }
        for curve, colour in zip(curves, colours(len(curves)), strict=True)
    ]


def _handle(curve: ComparedCurve, look: dict[str, Any]) -> Line2D:
    seeds = f" ± {curve.auc_spread:.2g} (seeds)" if curve.auc_spread is not None else ""
    numbers = f"AUC = {with_error(curve.auc, curve.auc_error)}{seeds}".replace(" ", "\N{NO-BREAK SPACE}")
    text = f"{curve.name}: {numbers}".replace("$", r"\$")
    return Line2D([], [], label=fill(text, LETTERS, subsequent_indent="   ", break_on_hyphens=False), **look)


def _enough(curve: ComparedCurve) -> Any:
    """Return at which points (G,) enough background rows survive, with a tolerance for rounding."""
    found: Any = curve.background * curve.first.background_rows >= LEAST_ROWS - 1e-6
    return found


def _draw(axes: Axes, curve: ComparedCurve, style: RocStyle, look: dict[str, Any]) -> Floats:
    enough = _enough(curve)
    low, high = (edge[enough] for edge in curve.band)
    values = _as_drawn(curve.background[enough], style)
    axes.plot(GRID[enough], values, **look)
    edges = _as_drawn(np.maximum(low, LEAST_ROWS / curve.first.background_rows / 3), style), _as_drawn(high, style)
    axes.fill_between(GRID[enough], *edges, color=look["color"], alpha=0.22, linewidth=0)
    return values


def _draw_ratio(axes: Axes, curve: ComparedCurve, first: ComparedCurve, style: RocStyle, look: dict[str, Any]) -> None:
    value, spread = ratio_to(curve, first, style)
    enough = _enough(curve) & _enough(first) & np.isfinite(value)
    axes.plot(GRID[enough], value[enough], **look)
    low, high = (value - spread)[enough], (value + spread)[enough]
    axes.fill_between(GRID[enough], low, high, color=look["color"], alpha=0.22, linewidth=0)


def ratio_to(curve: ComparedCurve, first: ComparedCurve, style: RocStyle) -> tuple[Floats, Floats]:
    """Return the ratio (G,) of the drawn quantity and its error from rows (paired if they are the same) and seeds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = curve.background / first.background if style == "b-tagging" else first.background / curve.background
        ours, theirs = (
            np.nan_to_num(side.background_replicates / side.background - 1, posinf=0, neginf=0)
            for side in (curve, first)
        )
        of_seeds = [
            0.0 if side.background_spread is None else side.background_spread / side.background
            for side in (curve, first)
        ]
        of_rows = (
            np.std(ours - theirs, axis=0)
            if curve.rows == first.rows
            else np.hypot(ours.std(axis=0), theirs.std(axis=0))
        )
        found: Floats = np.where(np.isfinite(value), value, np.nan)
        return found, found * np.sqrt(of_rows**2 + of_seeds[0] ** 2 + of_seeds[1] ** 2)


def _finish(axes: Axes, heights: Sequence[Floats], curves: Sequence[ComparedCurve], style: RocStyle) -> None:
    drawn = np.concatenate([values for values in heights if len(values)] or [np.ones(1)])
    first = curves[0].first
    axes.set_yscale("log")
    axes.set_xlim(0, 1)
    if style == "top-tagging":
        axes.set_ylim(1, max(float(drawn.max()) * 2, 10))
        axes.set_ylabel(rf"background rejection $1/\varepsilon_B$ ({class_label(first.background)})")
    else:
        axes.set_ylim(min(float(drawn.min()) / 2, 0.1), 1)
        axes.set_ylabel(rf"background efficiency $\varepsilon_B$ ({class_label(first.background)})")


def _limit_ratio(axes: Axes) -> None:
    """Limit the axis to the bulk of the ratios, without the steep ends of the bands."""
    shown = [1.0]
    for line in axes.get_lines()[:-1]:
        values = np.asarray(line.get_ydata(), dtype=float)
        shown += list(np.quantile(values, [0.03, 0.97])) if len(values) else []
    low, high = min(shown), max(shown)
    room = max(0.25 * (high - low), 0.05)
    axes.set_ylim(max(0, low - room), min(high + room, 10))


def _as_drawn(efficiency: Floats, style: RocStyle) -> Floats:
    safe = np.maximum(efficiency, 1e-12)
    return 1 / safe if style == "top-tagging" else safe
