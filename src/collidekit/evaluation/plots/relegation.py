"""Pictures of a network that may relegate: the confusion matrix with one more column, and the risk of what is kept."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from collidekit.errors import CollidekitError
from collidekit.evaluation.plots.style import PETROFF_6, PETROFF_10, colours, figure, mark, save
from collidekit.evaluation.rows import Floats

RELEGATED = "relegated"
GREY = PETROFF_6[4]
"""The colour of what is relegated; no class has it, nor another grey."""
LINES = ("-", "--", "-.", ":")
GREYS = {GREY, "#94a4a2", "#717581"}


def class_colours(count: int) -> list[str]:
    """``count`` colours that are not grey, those of every plot as long as there are few classes."""
    if count <= 4:
        return colours(count)
    palette = [colour for colour in (PETROFF_6 if count == 5 else PETROFF_10) if colour not in GREYS]
    return [palette[index % len(palette)] for index in range(count)]


def plot_confusion_relegated(stem: Path, matrix: Floats, names: Sequence[str], note: str = "") -> list[Path]:
    """Shares (K, K + 1) of the true class (rows), each row of sum 1; the last column is ``relegated``, set apart."""
    size = len(names)
    if matrix.shape != (size, size + 1):
        raise CollidekitError(
            f"{size} classes need a matrix ({size}, {size + 1}) with a relegated column: {matrix.shape}"
        )
    cell = 0.95 if size <= 5 else 0.6
    with figure(3.9 + cell * max(size + 1, 3), 2.4 + cell * max(size, 3)) as canvas:
        axes = canvas.subplots()
        image = axes.imshow(100 * matrix, cmap="Blues", vmin=0, vmax=100, aspect="auto")
        canvas.colorbar(image, ax=axes, label="share of the true class [%]")
        slant: dict[str, Any] = {"rotation": 45, "ha": "right"} if size > 5 else {}
        axes.set_xticks(range(size + 1), [*names, RELEGATED], **slant)
        axes.set_yticks(range(size), names)
        axes.tick_params(which="both", length=0)
        axes.minorticks_off()
        axes.axvline(size - 0.5, color="black", linewidth=1.1)
        for (row, column), share in np.ndenumerate(100 * matrix):
            text, colour = (
                (f"{share:.1f}", "white" if share > 60 else "black") if np.isfinite(share) else ("no rows", "black")
            )
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                color=colour,
                fontsize=12 if size <= 5 else 10 if size <= 8 else 8,
            )
        axes.set_xlabel("decision", loc="center")
        axes.set_ylabel("true class", loc="center")
        mark(axes, note)
        return save(canvas, stem)


def plot_risk_coverage(stem: Path, curves: Sequence[tuple[str, Floats, Floats]], note: str = "") -> list[Path]:
    """Of each (name, coverage (M,), risk (M,)): share of kept events that are wrong against the share that is kept."""
    shown = np.concatenate([risk[np.isfinite(risk)] for _, _, risk in curves]) if curves else np.zeros(0)
    if not len(shown):
        raise CollidekitError("no curve of risk against coverage has a finite point: nothing to draw")
    with figure() as canvas:
        axes = canvas.subplots()
        for (name, coverage, risk), colour, line in zip(curves, class_colours(len(curves)), cycle(LINES), strict=False):
            axes.plot(coverage, risk, color=colour, linestyle=line, label=name)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, max(1.05 * float(shown.max()), 1e-6))
        axes.set_xlabel("coverage: share of events kept")
        axes.set_ylabel("risk: share of kept events that are wrong")
        legend_above(axes, len(curves))
        mark(axes, note)
        return save(canvas, stem)


def legend_above(axes: Axes, entries: int) -> None:
    """A legend at the top, and room for it above everything that is drawn."""
    columns = 1 if entries <= 1 else 2
    share = 0.04 + 0.055 * -(-entries // columns)
    low, top = axes.get_ylim()
    logarithmic = axes.get_yscale() == "log"
    axes.set_ylim(low, top * (top / low) ** (share / (1 - share)) if logarithmic else low + (top - low) / (1 - share))
    axes.legend(loc="upper center", ncols=columns)
