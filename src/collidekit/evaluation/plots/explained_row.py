"""Plots of one row: its constituents at their coordinates, and the contribution of each feature to its score."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from collidekit.evaluation.importance.row import ExplainedCollection, ExplainedRow, Floats
from collidekit.evaluation.plots.style import figure, mark, save

DIVERGING, SEQUENTIAL = "RdBu_r", "viridis"
"""Colour maps for colour-blind readers; red favours the signal, blue the background."""
LARGEST, SMALLEST, EQUAL = 900.0, 6.0, 60.0
"""Areas of markers in square points: of the largest pT, the minimum, and without known pT."""
MOST = 30
"""Maximum number of constituents in a table of attributions, and of features in a chart."""


def plot_row(folder: Path, name: str, row: ExplainedRow, note: str = "") -> list[Path]:
    """Draw all plots of a row: ``<name>_features``, and ``<name>_<collection>`` for each collection with constituents.

    A collection with coordinates is drawn in their plane, others as a table of constituents and features; attention
    is ``<name>_<collection>_attention``.
    """
    written = _plot_features(folder / f"{name}_features", row, note)
    for entry in row.collections:
        if not len(entry.total):
            continue
        stem, label = folder / f"{name}_{entry.name}", f"attribution to {row.score_label}"
        if entry.coordinates is not None:
            written += _plot_plane(stem, entry, entry.total, label, DIVERGING, note)
        else:
            written += _plot_table(stem, entry, label, note)
        if entry.attention is not None and entry.coordinates is not None:
            stem = folder / f"{name}_{entry.name}_attention"
            written += _plot_plane(stem, entry, entry.attention, "attention", SEQUENTIAL, note)
    return written


def _plot_plane(
    stem: Path, entry: ExplainedCollection, values: Floats, label: str, colours: str, note: str
) -> list[Path]:
    assert entry.coordinates is not None
    limit = max(float(np.abs(values).max()), 1e-12)
    areas = _areas(entry.pt, len(values))
    order = np.argsort(-areas, kind="stable")  # small ones on top
    with figure(8.2, 6.2) as canvas:
        axes = canvas.subplots()
        x, y = entry.coordinates[order].T
        low = -limit if colours == DIVERGING else 0.0
        style: dict[str, Any] = {"cmap": colours, "edgecolors": "black", "linewidths": 0.5, "vmin": low, "vmax": limit}
        points = axes.scatter(x, y, s=areas[order], c=values[order], **style)
        canvas.colorbar(points, ax=axes, label=label)
        reach = 1.15 * max(float(np.abs(entry.coordinates).max()), 1e-3)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        axes.axhline(0, color="grey", linewidth=0.6, zorder=0)
        axes.axvline(0, color="grey", linewidth=0.6, zorder=0)
        axes.set_xlabel(entry.coordinate_labels[0])
        axes.set_ylabel(entry.coordinate_labels[1])
        if entry.pt is not None:
            _size_legend(axes, entry.pt)
        mark(axes, note)
        return save(canvas, stem)


def _areas(pt: Floats | None, count: int) -> Floats:
    """Return areas proportional to pT."""
    if pt is None or pt.max() <= 0:
        return np.full(count, EQUAL)
    areas: Floats = np.maximum(LARGEST * pt / pt.max(), SMALLEST)
    return areas


def _size_legend(axes: Axes, pt: Floats) -> None:
    if pt.max() <= 0:
        return
    decade = 10.0 ** np.floor(np.log10(pt.max()))
    top = decade * max(step for step in (1, 2, 5) if step * decade <= pt.max())
    handles = [
        Line2D([], [], linestyle="none", marker="o", markersize=float(np.sqrt(max(LARGEST * size / pt.max(), SMALLEST))),
               markerfacecolor="white", markeredgecolor="black", markeredgewidth=0.5, label=f"{size:g} GeV")
        for size in (top, top / 5)
    ]  # fmt: skip
    axes.legend(handles=handles, loc="upper right", title=r"$p_\mathrm{T}$", labelspacing=0.9, handletextpad=0.9)


def _plot_table(stem: Path, entry: ExplainedCollection, label: str, note: str) -> list[Path]:
    """Draw features (rows) and the first constituents (columns), in the order of the analysis."""
    values = entry.attributions[:MOST].T
    limit = max(float(np.abs(values).max()), 1e-12)
    with figure(4.2 + 0.28 * max(values.shape[1], 20), 1.8 + 0.34 * len(values)) as canvas:
        axes = canvas.subplots()
        image = axes.imshow(values, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
        canvas.colorbar(image, ax=axes, label=label)
        axes.set_yticks(range(len(values)), entry.features)
        axes.set_xticks(range(0, values.shape[1], 5 if values.shape[1] > 10 else 1))
        axes.minorticks_off()
        axes.tick_params(which="both", length=0)
        axes.set_xlabel(f"constituent of {entry.name}")
        mark(axes, note)
        return save(canvas, stem)


def _plot_features(stem: Path, row: ExplainedRow, note: str) -> list[Path]:
    shown = sorted(row.items, key=lambda item: abs(item.attribution))[-MOST:]
    shown = [item for item in shown if item.attribution] or shown[-1:]
    values = np.array([item.attribution for item in shown])
    names = [item.label if item.value is None else f"{item.label}: {item.value:.4g}" for item in shown]
    limit = max(float(np.abs(values).max()), 1e-12)
    with figure(8.2, 1.9 + 0.3 * len(shown)) as canvas:
        axes = canvas.subplots()
        axes.barh(np.arange(len(values)), values, height=0.7, color=_colours(values / limit), edgecolor="black",
                  linewidth=0.5)  # fmt: skip
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(range(len(shown)), names)
        axes.set_ylim(-0.7, len(shown) - 0.3)
        axes.tick_params(axis="y", which="both", length=0)
        axes.set_xlabel(f"attribution to {row.score_label} = {row.value:.2f} (baseline {row.baseline:.2f})")
        mark(axes, note)
        return save(canvas, stem)


def _colours(shares: Floats) -> Any:
    return mpl.colormaps[DIVERGING]((shares + 1) / 2)
