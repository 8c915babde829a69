"""Risk against coverage of a network that may relegate, and common parts of the plots of such networks."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from collidekit.errors import CollidekitError
from collidekit.evaluation.plots.style import PETROFF_6, PETROFF_10, Plot, colours, figure, mark, save
from collidekit.evaluation.rows import Floats

GREY = PETROFF_6[4]
"""Colour of relegated events; no class has this or another grey."""
LINES = ("-", "--", "-.", ":")
GREYS = {GREY, "#94a4a2", "#717581"}


def class_colours(count: int) -> list[str]:
    """Return ``count`` colours that are not grey; for few classes they are the colours of all other plots."""
    if count <= 4:
        return colours(count)
    palette = [colour for colour in (PETROFF_6 if count == 5 else PETROFF_10) if colour not in GREYS]
    return [palette[index % len(palette)] for index in range(count)]


def plot_risk_coverage(stem: Path | None, curves: Sequence[tuple[str, Floats, Floats]], note: str = "") -> Plot:
    """Draw the fraction of kept events that are wrong against the fraction that is kept, for each (name, coverage (M,), risk (M,))."""
    shown = np.concatenate([risk[np.isfinite(risk)] for _, _, risk in curves]) if curves else np.zeros(0)
    if not len(shown):
        raise CollidekitError("no curve of risk against coverage has a finite point: nothing to draw")
    with figure() as canvas:
        axes = canvas.subplots()
        for (name, coverage, risk), colour, line in zip(curves, class_colours(len(curves)), cycle(LINES), strict=False):
            axes.plot(coverage, risk, color=colour, linestyle=line, label=name)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, max(1.05 * float(shown.max()), 1e-6))
        axes.set_xlabel("coverage: fraction of events kept")
        axes.set_ylabel("risk: fraction of kept events that are wrong")
        legend_above(axes, len(curves))
        mark(axes, note)
        return save(canvas, stem)


def legend_above(axes: Axes, entries: int) -> None:
    """Draw a legend at the top, with room for it above everything else."""
    columns = 1 if entries <= 1 else 2
    share = 0.04 + 0.055 * -(-entries // columns)
    low, top = axes.get_ylim()
    logarithmic = axes.get_yscale() == "log"
    axes.set_ylim(low, top * (top / low) ** (share / (1 - share)) if logarithmic else low + (top - low) / (1 - share))
    axes.legend(loc="upper center", ncols=columns)
