"""Distribution of a discriminator for each class."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from collidekit.errors import CollidekitError
from collidekit.evaluation.look import class_label, discriminator_label
from collidekit.evaluation.plots.style import MOST_BANDS, Plot, colours, figure, mark, save
from collidekit.evaluation.rows import Floats
from collidekit.inference.predictions import Predictions

NEAR = 0.045
"""Minimum distance of two labels of working points, as a fraction of the axis."""
LEVELS = 0.21
"""Height of the label of a working point, as a fraction of the axis."""


def plot_discriminator_shapes(
    stem: str | Path | None,
    predictions: Predictions,
    name: str,
    bins: int = 40,
    thresholds: Mapping[str, float] | None = None,
    note: str = "",
) -> Plot:
    """Draw the distribution of one discriminator for each class, with unit area and statistical errors, on a log y axis.

    ``thresholds`` (label -> value) are drawn as vertical lines.
    """
    scores = predictions.discriminator(name)
    edges = score_edges(predictions, name, bins)
    bands = len(predictions.classes) <= MOST_BANDS
    with figure() as canvas:
        axes = canvas.subplots()
        heights: list[Floats] = []
        for index, (label, colour) in enumerate(
            zip(predictions.classes, colours(len(predictions.classes)), strict=True)
        ):
            rows = predictions.labels == index
            if (total := float(predictions.weights[rows].sum())) > 0:
                weights, text = predictions.weights[rows] / total, f"{class_label(label)} ({rows.sum():,})"
                heights.append(_draw_shape(axes, scores[rows], weights, edges, colour, text, bands))
        if not heights:
            raise CollidekitError(f"discriminator {name}: no class has rows with a positive sum of weights")
        axes.set_xlim(edges[0], edges[-1])
        room = _limits(axes, np.concatenate(heights), len(heights))
        _draw_thresholds(axes, thresholds or {}, edges, 0.97 - room)
        axes.set_xlabel(f"discriminator {discriminator_label(name)}")
        axes.set_ylabel(f"fraction of entries / {edges[1] - edges[0]:.3g}")
        mark(axes, note)
        return save(canvas, stem)


def score_edges(predictions: Predictions, name: str, bins: int) -> Floats:
    """Return the edges (bins + 1,) of a discriminator: 0 to 1 for a fraction; for a logarithm the central 99.8 % of the scores."""
    if predictions.definitions[name].form == "fraction":
        return np.linspace(0, 1, bins + 1)
    low, high = np.percentile(predictions.discriminator(name), [0.1, 99.9])
    return np.linspace(low, high, bins + 1) if high > low else np.linspace(low - 0.5, low + 0.5, bins + 1)


def _draw_shape(
    axes: Axes, scores: Floats, weights: Floats, edges: Floats, colour: str, label: str, bands: bool
) -> Floats:
    inside = np.clip(scores, edges[0], edges[-1])
    height = np.histogram(inside, edges, weights=weights)[0]
    error = np.sqrt(np.histogram(inside, edges, weights=weights**2)[0])
    axes.stairs(height, edges, color=colour, label=label, linewidth=1.8)
    if bands:
        axes.stairs(height + error, edges, baseline=height - error, fill=True, color=colour, alpha=0.3, linewidth=0)
    return height


def _draw_thresholds(axes: Axes, thresholds: Mapping[str, float], edges: Floats, top: float) -> None:
    """Draw a line with a label for each working point; labels of close lines are drawn below each other."""
    width, level, last = edges[-1] - edges[0], 0, -np.inf
    for label, value in sorted(thresholds.items(), key=lambda entry: entry[1]):
        if not edges[0] <= value <= edges[-1]:
            continue
        level = (level + 1) % 3 if value - last < NEAR * width else 0
        last = value
        axes.axvline(value, ymax=top, color="black", linestyle=":", linewidth=1.2)
        left = value - edges[0] > NEAR * width
        place: dict[str, Any] = {"xy": (value, top - LEVELS * level), "xycoords": axes.get_xaxis_transform()}
        style: dict[str, Any] = {"rotation": 90, "ha": "right" if left else "left", "va": "top", "fontsize": 9}
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
        axes.annotate(label, xytext=(-2 if left else 2, 0), textcoords="offset points", bbox=box, **style, **place)


def _limits(axes: Axes, heights: Floats, entries: int) -> float:
    """Leave room for the legend above the curves; return the fraction of the height that it takes."""
    positive = heights[heights > 0]
    low, high = 10 ** np.floor(np.log10(positive.min())), positive.max()
    columns = 1 if entries <= 2 else 2 if entries <= 6 else 3
    share = 0.06 + 0.055 * -(-entries // columns)
    axes.set_yscale("log")
    axes.set_ylim(low, high * (high / low) ** (share / (1 - share)))
    axes.legend(loc="upper center", ncols=columns)
    return share
