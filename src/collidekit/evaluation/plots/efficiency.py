"""Efficiency of a working point against a spectator."""

from pathlib import Path
from typing import Any

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.efficiency import BinnedEfficiency
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save


def plot_efficiency(stem: str | Path | None, binned: BinnedEfficiency, label: str = "", note: str = "") -> Plot:
    """Points with their interval of each class; ``label`` is the x axis with its unit, such as ``jet pT [GeV]``."""
    centres, halves = (binned.edges[1:] + binned.edges[:-1]) / 2, np.diff(binned.edges) / 2
    names = [name for name, found in binned.classes.items() if np.isfinite(found.value).any()]
    if not names:
        raise CollidekitError(f"{binned.variable}: no bin holds a row of any class, so there is no efficiency to draw")
    with figure() as canvas:
        axes = canvas.subplots()
        for name, colour, marker in zip(names, colours(len(names)), "os^vDP*X<>" * len(names), strict=False):
            found = binned.classes[name]
            spread = np.abs(np.stack([found.value - found.low, found.high - found.value]))
            style: dict[str, Any] = {"fmt": marker, "markersize": 5, "linewidth": 1.4, "color": colour, "label": name}
            axes.errorbar(centres, found.value, yerr=spread, xerr=halves, **style)
        shown = np.concatenate([binned.classes[name].value for name in names])
        shown = shown[np.isfinite(shown) & (shown > 0)]
        rows = -(-len(names) // 3)
        if len(shown) and shown.max() / shown.min() > 20:
            axes.set_yscale("log")
            low = 10 ** np.floor(np.log10(shown.min() / 1.5))
            axes.set_ylim(low, shown.max() * 1.5 * (shown.max() / low) ** (0.1 + 0.07 * rows))
        else:
            axes.set_ylim(0, max(1.15 + 0.1 * rows, 0.1) * (shown.max() if len(shown) else 1))
        axes.set_xlim(binned.edges[0], binned.edges[-1])
        axes.set_xlabel(label or binned.variable)
        axes.set_ylabel(f"efficiency of {binned.discriminator} ≥ {binned.threshold:.4g}")
        axes.legend(loc="upper center", ncols=3)
        mark(axes, note)
        return save(canvas, stem)
