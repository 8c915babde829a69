"""Efficiency of a working point against a spectator."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from collidekit.errors import CollidekitError
from collidekit.evaluation.binomial import Efficiencies, upper_limit
from collidekit.evaluation.classification.efficiency import BinnedEfficiency
from collidekit.evaluation.look import class_label, discriminator_label
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save
from collidekit.evaluation.rows import Floats

LOG_RATIO = 20
"""Maximum ratio of the efficiencies of classes (all bins together) on a linear axis."""
WIDE = 0.5
"""Maximum fraction of a linear axis that one bin may take."""
MARKERS = "os^vDP*X<>"


def plot_efficiency(stem: str | Path | None, binned: BinnedEfficiency, label: str = "", note: str = "") -> Plot:
    """Draw the efficiency of each class with its interval; ``label`` is the x axis with its unit, such as ``jet pT [GeV]``.

    A bin in which no row of a class passes has an arrow at the upper limit at 95 % confidence.
    """
    names = [name for name, found in binned.classes.items() if np.isfinite(found.value).any()]
    if not names:
        raise CollidekitError(f"{binned.variable}: no bin holds a row of any class, so there is no efficiency to draw")
    with figure() as canvas:
        axes = canvas.subplots()
        logarithmic = _y_axis(axes, [binned.classes[name] for name in names])
        set_binned_axis(axes, binned.edges)
        limits = False
        for number, (name, colour) in enumerate(zip(names, colours(len(names)), strict=True)):
            style: dict[str, Any] = {"fmt": MARKERS[number % len(MARKERS)], "color": colour, "label": class_label(name)}
            limits |= _draw(axes, binned, binned.classes[name], style, logarithmic)
        axes.set_xlabel(label or binned.variable)
        axes.set_ylabel(f"efficiency of {discriminator_label(binned.discriminator)} ≥ {binned.threshold:.3g}")
        title = "arrows: limits at 95 % confidence" if limits else None
        axes.legend(loc="upper center", ncols=3, title=title, title_fontsize=10)
        mark(axes, note)
        return save(canvas, stem)


def set_binned_axis(axes: Axes, edges: Floats) -> None:
    """Set the limits of the x axis; it is logarithmic if one bin would take most of it and all edges are positive."""
    axes.set_xlim(edges[0], edges[-1])
    if edges[0] > 0 and np.diff(edges).max() > (WIDE + 1e-9) * (edges[-1] - edges[0]) and len(edges) > 2:
        axes.set_xscale("log")
        few = edges[-1] / edges[0] < 100
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())


def _draw(axes: Axes, binned: BinnedEfficiency, found: Efficiencies, style: dict[str, Any], logarithmic: bool) -> bool:
    """Draw points with errors, and limits on a logarithmic axis for bins without a passing row; return whether there is a limit."""
    edges = binned.edges
    centres = np.sqrt(edges[1:] * edges[:-1]) if axes.get_xscale() == "log" else (edges[1:] + edges[:-1]) / 2
    across = np.stack([centres - edges[:-1], edges[1:] - centres])
    spread = np.abs(np.stack([found.value - found.low, found.high - found.value]))
    none = (found.passed == 0) & np.isfinite(found.value) & logarithmic
    shown = np.isfinite(found.value) & ~none
    bars: dict[str, Any] = {"markersize": 5, "linewidth": 1.4, "zorder": 3, **style}
    points = axes.errorbar(centres[shown], found.value[shown], spread[:, shown], across[:, shown], **bars)
    for line in points.lines[0:1]:
        line.set_clip_on(False)  # draw points at 0 and 1 completely
    bottom = axes.get_ylim()[0]
    for place in np.flatnonzero(none):
        limit = max(upper_limit(found.effective[place]), 1.5 * bottom)
        axes.plot(edges[place : place + 2], [limit, limit], color=style["color"], linewidth=1.4)
        arrow = {"arrowstyle": "->", "color": style["color"], "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (centres[place], limit / 1.5), (centres[place], limit), arrowprops=arrow)
    return bool(none.any())


def _y_axis(axes: Axes, found: list[Efficiencies]) -> bool:
    """Set scale and limits of the y axis, with room for the legend; all spectators get the same scale, from all bins together."""
    overall = np.array([entry.passed.sum() / max(entry.total.sum(), 1) for entry in found])
    values = np.concatenate([entry.value for entry in found])
    values = values[np.isfinite(values) & (values > 0)]
    rows = -(-len(found) // 3)
    passing = overall[overall > 0]
    if len(passing) and passing.max() / passing.min() > LOG_RATIO:
        axes.set_yscale("log")
        low, top = values.min() / 3, max(values.max(), 0.5)
        axes.set_ylim(low, top * (top / low) ** (0.12 + 0.07 * rows))
        return True
    top = values.max() if len(values) else 1.0
    axes.set_ylim(-0.03 * top, (1.2 + 0.1 * rows) * top)
    return False
