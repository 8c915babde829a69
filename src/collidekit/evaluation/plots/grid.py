"""Parallel coordinates of a grid: a line for each point through the values of its settings to its figure of merit."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from collidekit.evaluation.grid.results import LOSS, Grid, shown, title
from collidekit.evaluation.plots.style import Plot, figure, mark, save

COLOURS = "viridis"
MOST_TICKS = 12
LONGEST = 24
"""Maximum number of characters of a tick label."""
MARGIN = 0.06


class Scale:
    """Scale of one setting, from values to an axis from 0 to 1: linear, logarithmic, or one position for each text."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        distinct = list(dict.fromkeys(map(_key, values)))
        self._numbers = sorted(distinct) if self.numeric else distinct
        self.log = self.numeric and is_geometric(self._numbers)
        self._places = self._lengths()

    def _lengths(self) -> dict[Any, float]:
        raw = [
            (math.log(v) if self.log else float(v)) if self.numeric else float(i) for i, v in enumerate(self._numbers)
        ]
        low, high = min(raw), max(raw)
        return {
            v: 0.5 if high == low else MARGIN + (1 - 2 * MARGIN) * (r - low) / (high - low)
            for v, r in zip(self._numbers, raw, strict=True)
        }

    def __call__(self, value: Any) -> float:
        return self._places[_key(value)]

    def ticks(self) -> list[tuple[float, str]]:
        """Return positions and texts of ticks: all values, or some of them if there are many numbers."""
        step = max(1, math.ceil(len(self._numbers) / MOST_TICKS)) if self.numeric else 1
        return [(self._places[v], shorten(shown(v))) for v in self._numbers[::step]]


def shorten(text: str) -> str:
    """Return a text, without its middle if it is longer than LONGEST."""
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]}…{text[-half:]}"


def _key(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else shown(value)


def is_geometric(numbers: Sequence[float]) -> bool:
    """Return whether ascending numbers are spaced by factors rather than steps: their logarithms are more evenly spaced."""
    if len(numbers) < 2 or numbers[0] <= 0:
        return False
    if len(numbers) == 2:
        return numbers[1] / numbers[0] >= 10
    steps, factors = np.diff(numbers), np.diff(np.log(numbers))
    return bool(np.std(factors) / np.mean(factors) < np.std(steps) / np.mean(steps) - 1e-9)


def plot_grid(stem: Path | None, grid: Grid, note: str = "") -> Plot:
    """Draw the trained points, coloured by the figure of merit, which is the last axis; the best point has a thick line."""
    order = [i for i in grid.order() if grid.points[i].trained]
    points = [grid.points[i] for i in order]
    scales = {name: Scale([point.settings[name] for point in points]) for name in grid.settings}
    values = np.array([point.mean(grid.figure) for point in points])
    low, high = float(values.min()), float(values.max())
    span = (high - low) or max(abs(low), 1e-12)
    low, high = (low - MARGIN * span, high + MARGIN * span) if high > low else (low - 0.5 * span, high + 0.5 * span)
    longest = max(len(text) for scale in scales.values() for _, text in scale.ticks())
    width = max(6.5, max(1.9, 0.6 + 0.095 * longest) * (len(scales) + 1))
    with figure(width, 5.2) as canvas:
        axes = canvas.subplots()
        _frame(axes, scales, grid)
        _figure_axis(axes, len(scales), low, high, title(grid.figure))
        better = (values - values.min()) / (values.max() - values.min() or 1.0)
        better = 1 - better if grid.figure == LOSS else better
        for i in reversed(range(len(points))):  # the best on top
            places = [scales[name](points[i].settings[name]) for name in scales]
            line = [*places, (values[i] - low) / (high - low)]
            colour = colormaps[COLOURS](0.92 * (1 - better[i]))
            best: dict[str, Any] = {"linewidth": 4.0, "label": "best point"} if i == 0 else {"linewidth": 1.5}
            axes.plot(range(len(line)), line, color=colour, marker="o", markersize=5, **best)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, -0.22), borderaxespad=0.0)
        said = f"colour: {title(grid.figure)} (dark is better)"
        axes.text(1.0, -0.16, said, transform=axes.transAxes, ha="right", va="top", fontsize=11)
        mark(axes, note)
        return save(canvas, stem)


def _frame(axes: Axes, scales: dict[str, Scale], grid: Grid) -> None:
    """Draw a vertical line with ticks for each setting, and no other frame."""
    axes.set_xlim(-0.35, len(scales) + 0.45)
    axes.set_ylim(0, 1)
    axes.tick_params(which="both", left=False, right=False, top=False, bottom=False, labelleft=False)
    axes.minorticks_off()
    for side in axes.spines.values():
        side.set_visible(False)
    names = [f"{name}\n(log axis)" if scale.log else name for name, scale in scales.items()]
    axes.set_xticks(
        range(len(names) + 1), [*(name.replace("model_options.", "") for name in names), title(grid.figure)]
    )
    for x, scale in enumerate(scales.values()):
        _axis(axes, x, scale.ticks())


def _axis(axes: Axes, x: int, ticks: Sequence[tuple[float, str]], right: bool = False) -> None:
    axes.axvline(x, color="black", linewidth=1.1, zorder=0)
    for place, text in ticks:
        axes.plot([x - 0.02, x + 0.02], [place, place], color="black", linewidth=1.1, zorder=0)
        axes.annotate(
            text, (x, place), xytext=(8, 0) if right else (-6, 9), textcoords="offset points", ha="left" if right else "right",
            va="center", fontsize=11, zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
        )  # fmt: skip


def _figure_axis(axes: Axes, x: int, low: float, high: float, label: str) -> None:
    """Draw the axis of the figure of merit, linear, with its numbers on the right."""
    found = [tick for tick in MaxNLocator(6).tick_values(low, high) if low <= tick <= high]
    digits = max(0, 1 - math.floor(math.log10(abs(found[1] - found[0])))) if len(found) > 1 else 4
    _axis(axes, x, [((tick - low) / (high - low), f"{tick:.{digits}f}") for tick in found], right=True)
