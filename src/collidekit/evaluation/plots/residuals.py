"""Plots of estimated values: distribution of the residuals, estimate against truth, and bias and width in bins."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm

from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save, with_ratio
from collidekit.evaluation.residuals import Residuals
from collidekit.evaluation.rows import Floats

BINS = 60


def plot_residuals(
    stem: Path | None, residuals: Residuals, estimate: Floats, truth: Floats, weights: Floats, note: str = ""
) -> Plot:
    """Draw the distribution of estimate minus truth for the given rows, over the range of 99 % of them, with bias and width."""
    differences = estimate - truth
    low, high = np.percentile(differences, [0.5, 99.5])
    edges = np.linspace(low, high, BINS + 1) if high > low else np.linspace(low - 0.5, low + 0.5, BINS + 1)
    counts, _ = np.histogram(differences, edges, weights=weights)
    errors = np.sqrt(np.histogram(differences, edges, weights=weights**2)[0])
    colour, centres = colours(1)[0], (edges[1:] + edges[:-1]) / 2
    spread, unit = residuals.all, f" {residuals.unit}" if residuals.unit else ""
    with figure() as canvas:
        axes = canvas.subplots()
        axes.stairs(counts, edges, color=colour, linewidth=1.8)
        axes.errorbar(centres, counts, errors, fmt="none", ecolor=colour, elinewidth=1)
        axes.axvline(0, color="black", linewidth=1, linestyle=":")
        lines = [f"bias {with_error(spread.bias, spread.bias_error)}{unit}",
                 f"width (68 %) {with_error(spread.width, spread.width_error)}{unit}",
                 f"std. deviation {with_error(spread.deviation, spread.deviation_error)}{unit}"]  # fmt: skip
        axes.text(0.03, 0.97, "\n".join(lines), transform=axes.transAxes, ha="left", va="top", fontsize=11)
        axes.set_ylim(0, counts.max() * 1.35 if counts.max() > 0 else 1)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(f"estimate − truth of {residuals.label}")
        axes.set_ylabel(f"sum of weights / {edges[1] - edges[0]:.3g}{unit}")
        mark(axes, note)
        return save(canvas, stem)


def plot_estimates(
    stem: Path | None, residuals: Residuals, estimate: Floats, truth: Floats, weights: Floats, note: str = ""
) -> Plot:
    """Draw estimate against truth, with the line of equality."""
    low, high = np.percentile(np.concatenate([estimate, truth]), [0.5, 99.5])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts, _, _ = np.histogram2d(truth, estimate, [edges, edges], weights=weights)
    filled = counts[counts > 0]
    with figure(7.6, 6.0) as canvas:
        axes = canvas.subplots()
        shown = np.where(counts > 0, counts, np.nan).T
        scale: Any = LogNorm(filled.min(), filled.max()) if len(filled) and filled.max() > filled.min() else None
        drawn = axes.pcolormesh(edges, edges, shown, cmap="viridis", norm=scale, rasterized=True)
        axes.plot(edges[[0, -1]], edges[[0, -1]], color="black", linewidth=1.2, linestyle="--")
        canvas.colorbar(drawn, ax=axes, label="sum of weights")
        axes.set_xlabel(f"true {residuals.label}")
        axes.set_ylabel(f"estimated {residuals.label}")
        mark(axes, note)
        return save(canvas, stem)


def plot_resolution(stem: Path | None, residuals: Residuals, note: str = "") -> Plot:
    """Draw width and bias in bins of the truth with equally many rows."""
    edges = np.asarray(residuals.edges)
    centres, halves = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    with figure(7.0, 6.6) as canvas:
        main, below = with_ratio(canvas)[:, 0]
        colour = colours(1)[0]
        for axes, name in ((main, "width"), (below, "bias")):
            values = np.array([getattr(spread, name) for spread in residuals.bins])
            errors = np.array([getattr(spread, f"{name}_error") for spread in residuals.bins])
            axes.errorbar(centres, values, errors, halves, fmt="o", markersize=5, color=colour, linewidth=1.4)
        widths = [spread.width + spread.width_error for spread in residuals.bins if np.isfinite(spread.width)]
        main.set_ylim(0, 1.25 * max(widths) if widths else 1)
        below.axhline(0, color="black", linewidth=1, linestyle=":")
        unit = f" [{residuals.unit}]" if residuals.unit else ""
        main.set_ylabel(f"width (68 %){unit}")
        below.set_ylabel(f"bias{unit}", loc="center")
        below.set_xlabel(f"true {residuals.label}")
        below.set_xlim(edges[0], edges[-1])
        mark(main, note)
        return save(canvas, stem)
