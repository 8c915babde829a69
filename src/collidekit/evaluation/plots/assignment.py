"""Efficiency of an assignment against a spectator."""

from pathlib import Path

import numpy as np

from collidekit.evaluation.binomial import Efficiencies
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save
from collidekit.evaluation.rows import Floats


def plot_assignment(
    stem: Path | None, edges: Floats, found: dict[str, Efficiencies], label: str = "", note: str = ""
) -> Plot:
    """Points with their 68 % interval of the whole event and of each parent; ``label`` is the x axis with its unit."""
    centres, halves = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    with figure() as canvas:
        axes = canvas.subplots()
        for (name, entry), colour, marker in zip(
            found.items(), colours(len(found)), "os^vDP*X" * len(found), strict=False
        ):
            spread = np.abs(np.stack([entry.value - entry.low, entry.high - entry.value]))
            axes.errorbar(
                centres, entry.value, spread, halves, fmt=marker, markersize=5, linewidth=1.4, color=colour, label=name
            )
        axes.set_ylim(0, 1.25)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(label)
        axes.set_ylabel("efficiency where all decay products are there")
        axes.legend(loc="upper center", ncols=3)
        mark(axes, note)
        return save(canvas, stem)
