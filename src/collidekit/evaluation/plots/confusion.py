"""The confusion matrix."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from collidekit.evaluation.metrics import ConfusionMatrix
from collidekit.evaluation.plots.style import figure, mark, save


def plot_confusion_matrix(stem: Path, matrix: ConfusionMatrix, note: str = "") -> list[Path]:
    """Rows are the truth, each normalised to 100 %; columns are the class with the largest probability."""
    size = len(matrix.classes)
    side = 3.0 + (0.95 if size <= 6 else 0.6) * max(size, 3)
    with figure(side + 0.9, side) as canvas:
        axes = canvas.subplots()
        image = axes.imshow(100 * matrix.share, cmap="Blues", vmin=0, vmax=100)
        canvas.colorbar(image, ax=axes, label="share of the true class [%]", shrink=0.9)
        axes.set_xticks(
            range(size), matrix.classes, rotation=45 if size > 5 else 0, ha="right" if size > 5 else "center"
        )
        axes.set_yticks(range(size), matrix.classes)
        axes.tick_params(which="both", length=0)
        axes.minorticks_off()
        for row in range(size):
            for column in range(size):
                _write_cell(axes, matrix, row, column)
        axes.set_xlabel("called class", loc="center")
        axes.set_ylabel("true class", loc="center")
        mark(axes, note)
        return save(canvas, stem)


def _write_cell(axes: Axes, matrix: ConfusionMatrix, row: int, column: int) -> None:
    share, error = 100 * matrix.share[row, column], 100 * matrix.error[row, column]
    if not np.isfinite(share):
        text, colour = "no rows", "black"
    else:
        text, colour = f"{share:.1f}\n±{error:.2g}", "white" if share > 60 else "black"
    size = 12 if len(matrix.classes) <= 6 else 8
    axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
