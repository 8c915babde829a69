"""Efficiency of an assignment against a spectator."""

from pathlib import Path

import numpy as np

from collidekit.evaluation.binomial import Efficiencies
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save
from collidekit.evaluation.rows import Floats


def plot_assignment(
    stem: Path | None, edges: Floats, found: dict[str, Efficiencies], label: str = "", note: str = ""
) -> Plot:
    """Draw the efficiency of the whole event and of each parent, with 68 % intervals; ``label`` is the x axis with its unit."""
    centres, halves = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    with figure() as canvas:
        axes = canvas.subplots()
        shifts = np.linspace(-0.7, 0.7, len(found)) if len(found) > 3 else np.zeros(len(found))  # many would overlap
        markers = "os^vDP*X<>" * len(found)
        for (name, entry), colour, marker, shift in zip(
            found.items(), colours(len(found)), markers, shifts, strict=False
        ):
            spread = np.abs(np.stack([entry.value - entry.low, entry.high - entry.value]))
            wide = None if shifts.any() else halves
            axes.errorbar(
                centres + shift * halves, entry.value, spread, wide, fmt=marker, markersize=5, linewidth=1.4, color=colour,
                label=name,
            )  # fmt: skip
        if shifts.any():
            for edge in edges[1:-1]:
                axes.axvline(edge, color="0.85", linewidth=0.8, zorder=0)
        axes.set_ylim(0, 1.25)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(label)
        axes.set_ylabel("efficiency in complete events")
        axes.legend(loc="upper center", ncols=3)
        mark(axes, note)
        return save(canvas, stem)
