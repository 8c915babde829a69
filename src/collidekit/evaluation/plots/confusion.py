"""Confusion matrices, without and with relegation."""

from collections.abc import Sequence
from math import floor, log10
from pathlib import Path

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.metrics import ConfusionMatrix
from collidekit.evaluation.look import class_label, decision_label
from collidekit.evaluation.plots.style import Plot, figure, mark, save
from collidekit.evaluation.rows import Floats

RELEGATED = "relegated"


def plot_confusion_matrix(stem: str | Path | None, matrix: ConfusionMatrix, note: str = "") -> Plot:
    """Draw the confusion matrix: rows are the true class, each normalised to 100 %; columns are the predicted class."""
    return _draw(stem, matrix.share, matrix.error, matrix.classes, matrix.classes, "predicted class", note)


def plot_confusion_relegated(stem: str | Path | None, matrix: Floats, names: Sequence[str], note: str = "") -> Plot:
    """Draw fractions (K, K + 1) of the true class (rows), where each row sums to 1; the last column is ``relegated``.

    If nothing is relegated, as with a threshold on the probability of the signal, this column is left out.
    """
    size = len(names)
    if matrix.shape != (size, size + 1):
        raise CollidekitError(
            f"{size} classes need a matrix of shape ({size}, {size + 1}) with a relegated column, not {matrix.shape}"
        )
    if not np.nan_to_num(matrix[:, -1]).any():
        return _draw(stem, matrix[:, :-1], None, names, names, "predicted class", note)
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
    """Draw fractions (R, C) in percent, with a line before columns that are not a row."""
    few = len(columns) <= 6
    cell = 0.95 if few else 0.6
    with figure(3.9 + cell * max(len(columns), 3), 3.0 + cell * max(len(rows), 3)) as canvas:
        axes = canvas.subplots()
        image = axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
        canvas.colorbar(image, ax=axes, label="fraction of the true class [%]", aspect=18, pad=0.03)
        slanted = len(columns) > 5
        names = [decision_label(name) for name in columns]
        axes.set_xticks(range(len(columns)), names, rotation=45 if slanted else 0, ha="right" if slanted else "center")
        axes.set_yticks(range(len(rows)), [class_label(name) for name in rows])
        axes.tick_params(which="both", length=0)
        axes.minorticks_off()
        if len(columns) > len(rows):
            axes.axvline(len(rows) - 0.5, color="black", linewidth=1.1)
        for (row, column), value in np.ndenumerate(100 * share):
            text = cell_text(value, None if error is None else float(100 * error[row, column]))
            colour = "white" if value > 60 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=12 if few else 8)
        axes.set_xlabel(label, loc="center")
        axes.set_ylabel("true class", loc="center")
        mark(axes, note, letters=int(10 * cell * max(len(columns), 3) - 8))
        return save(canvas, stem)


def cell_text(value: float, error: float | None) -> str:
    """Return a percentage over its error, with the digits that the error allows: ``90`` over ``±3``, ``90.3`` over ``±0.4``."""
    if not np.isfinite(value):
        return "no rows"
    if error is None or not np.isfinite(error) or error <= 0:
        return f"{value:.1f}"
    decimals = min(max(-floor(log10(error)), 0), 3)
    return f"{value:.{decimals}f}\n±{error:.{decimals}f}"
