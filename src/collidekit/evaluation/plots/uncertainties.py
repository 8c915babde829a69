"""Probability integral transform of each value of a target."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from collidekit.evaluation.look import value_label
from collidekit.evaluation.numbers import percent
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save
from collidekit.evaluation.uncertainties import Spreads

TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
COLUMNS = 3
"""Maximum number of panels side by side."""


def plot_pit(stem: Path | None, spreads: Sequence[Spreads], note: str = "") -> Plot:
    """Draw the distribution of the predicted probability of values below the truth, with binomial errors, in a panel for each value.

    It is flat if the predicted distributions are right, a hill if they are too wide, and a valley if they are too narrow.
    """
    columns = min(COLUMNS, len(spreads))
    lines = -(-len(spreads) // columns)
    highest = max((np.add(entry.pit, entry.pit_error).max() for entry in spreads), default=1.0)
    colour = colours(1)[0]
    with figure(7.0 if columns == 1 else 4.2 * columns, 5.0 if columns == 1 else 0.6 + 3.6 * lines) as canvas:
        panels = canvas.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        for axes, entry in zip(panels.flat, spreads, strict=False):
            edges = np.asarray(entry.pit_edges)
            axes.axhline(1, color="black", linewidth=1, linestyle="--")
            axes.stairs(entry.pit, edges, color=colour, linewidth=1.8)
            centres = (edges[1:] + edges[:-1]) / 2
            axes.errorbar(centres, entry.pit, entry.pit_error, fmt="none", ecolor=colour, elinewidth=1.2)
            lines_of_text = [
                value_label(entry.name),
                *(f"{percent(i.nominal)} interval: {i.coverage}" for i in entry.intervals[:2]),
            ]
            axes.text(0.04, 0.96, "\n".join(lines_of_text), transform=axes.transAxes, ha="left", va="top", fontsize=11)
            axes.set_xlim(0, 1)
            axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
            axes.set_ylim(0, 1.5 * max(highest, 1.0))
            axes.yaxis.set_major_locator(MaxNLocator(6, prune="lower"))
        for axes in panels.flat[len(spreads) :]:
            axes.set_visible(False)
        for column in range(columns):
            bottom = panels[(len(spreads) - 1 - column) // columns, column]
            bottom.set_xlabel("probability integral transform")
            bottom.tick_params(labelbottom=True)
        for line in panels[:, 0]:
            line.set_ylabel("density")
        mark(panels[0, 0], note, panels[0, -1])
        return save(canvas, stem)
