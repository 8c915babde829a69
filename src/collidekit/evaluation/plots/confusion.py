"""The confusion matrix, and that of a network that may relegate."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.metrics import ConfusionMatrix
from collidekit.evaluation.plots.style import Plot, figure, mark, save
from collidekit.evaluation.rows import Floats

RELEGATED = "relegated"


def plot_confusion_matrix(stem: str | Path | None, matrix: ConfusionMatrix, note: str = "") -> Plot:
    """Rows are the truth, each normalised to 100 %; columns are the class with the largest probability."""
    return _draw(stem, matrix.share, matrix.error, matrix.classes, matrix.classes, "called class", note)


def plot_confusion_relegated(stem: str | Path | None, matrix: Floats, names: Sequence[str], note: str = "") -> Plot:
    """Shares (K, K + 1) of the true class (rows), each row of sum 1; the last column is ``relegated``, set apart."""
    size = len(names)
    if matrix.shape != (size, size + 1):
        raise CollidekitError(
            f"{size} classes need a matrix ({size}, {size + 1}) with a relegated column: {matrix.shape}"
        )
    return _draw(stem, matrix, None, names, [*names, RELEGATED], "decision", note)


def _draw(
    stem: str | Path | None,
    share: Floats,
    error: Floats | None,
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    note: str,
) -> Plot:
    """Shares (R, C) in percent; a line stands before columns that are no row."""
    few = len(columns) <= 6
    cell = 0.95 if few else 0.6
    with figure(3.9 + cell * max(len(columns), 3), 3.0 + cell * max(len(rows), 3)) as canvas:
        axes = canvas.subplots()
        image = axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100)
        canvas.colorbar(image, ax=axes, label="share of the true class [%]", shrink=0.9)
        slanted = len(columns) > 5
        axes.set_xticks(
            range(len(columns)), columns, rotation=45 if slanted else 0, ha="right" if slanted else "center"
        )
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(which="both", length=0)
        axes.minorticks_off()
        if len(columns) > len(rows):
            axes.axvline(len(rows) - 0.5, color="black", linewidth=1.1)
        for (row, column), value in np.ndenumerate(100 * share):
            text = f"{value:.1f}" if np.isfinite(value) else "no rows"
            if error is not None and np.isfinite(value):
                text += f"\n±{100 * error[row, column]:.2g}"
            colour = "white" if value > 60 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=12 if few else 8)
        axes.set_xlabel(label, loc="center")
        axes.set_ylabel("true class", loc="center")
        mark(axes, note)
        return save(canvas, stem)
