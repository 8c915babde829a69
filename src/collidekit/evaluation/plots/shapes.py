"""Shapes of a discriminator for each class."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from collidekit.errors import CollidekitError
from collidekit.evaluation.plots.style import MOST_BANDS, Plot, colours, figure, mark, save
from collidekit.evaluation.rows import Floats
from collidekit.inference.predictions import Predictions


def plot_discriminator_shapes(
    stem: str | Path | None,
    predictions: Predictions,
    name: str,
    bins: int = 40,
    thresholds: Mapping[str, float] | None = None,
    note: str = "",
) -> Plot:
    """Distribution of one discriminator for each class, each of unit area, with statistical errors; log y axis.

    ``thresholds`` (label -> value) are drawn as vertical lines.
    """
    scores, edges = predictions.discriminator(name), np.linspace(0, 1, bins + 1)
    bands = len(predictions.classes) <= MOST_BANDS
    with figure() as canvas:
        axes = canvas.subplots()
        heights: list[Floats] = []
        for index, (label, colour) in enumerate(
            zip(predictions.classes, colours(len(predictions.classes)), strict=True)
        ):
            rows = predictions.labels == index
            if (total := float(predictions.weights[rows].sum())) > 0:
                weights = predictions.weights[rows] / total
                heights.append(
                    _draw_shape(axes, scores[rows], weights, edges, colour, f"{label} ({rows.sum():,})", bands)
                )
        if not heights:
            raise CollidekitError(f"discriminator {name}: no class has rows with a positive sum of weights")
        _limits(axes, np.concatenate(heights), len(heights))
        for label, value in (thresholds or {}).items():
            axes.axvline(value, ymax=0.72, color="black", linestyle=":", linewidth=1.2)
            place: dict[str, Any] = {
                "xy": (value, 0.7),
                "xycoords": axes.get_xaxis_transform(),
                "textcoords": "offset points",
            }
            axes.annotate(label, xytext=(-3, 0), rotation=90, ha="right", va="top", fontsize=9, **place)
        axes.set_xlabel(f"discriminator {name}")
        axes.set_ylabel(f"fraction of entries / {1 / bins:g}")
        mark(axes, note)
        return save(canvas, stem)


def _draw_shape(
    axes: Axes, scores: Floats, weights: Floats, edges: Floats, colour: str, label: str, bands: bool
) -> Floats:
    height = np.histogram(scores, edges, weights=weights)[0]
    error = np.sqrt(np.histogram(scores, edges, weights=weights**2)[0])
    axes.stairs(height, edges, color=colour, label=label, linewidth=1.8)
    if bands:
        axes.stairs(height + error, edges, baseline=height - error, fill=True, color=colour, alpha=0.3, linewidth=0)
    return height


def _limits(axes: Axes, heights: Floats, entries: int) -> None:
    """Room for the legend above the curves."""
    positive = heights[heights > 0]
    low, high = 10 ** np.floor(np.log10(positive.min())), positive.max()
    columns = 1 if entries <= 2 else 2 if entries <= 6 else 3
    share = 0.06 + 0.055 * -(-entries // columns)
    axes.set_yscale("log")
    axes.set_xlim(0, 1)
    axes.set_ylim(low, high * (high / low) ** (share / (1 - share)))
    axes.legend(loc="upper center", ncols=columns)
