"""Heat maps of methods for dileptonic top pairs: response matrices, and overlap of correct assignments."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from collidekit.evaluation.dilepton.complementarity import Overlap
from collidekit.evaluation.dilepton.response import Response
from collidekit.evaluation.look import look
from collidekit.evaluation.plots.experiment import experiment_label
from collidekit.evaluation.plots.style import Plot, figure, mark, right_title, save
from collidekit.evaluation.rows import Floats


def plot_responses(stem: Path | None, responses: Sequence[Response], note: str = "") -> Plot:
    """Draw response matrices, a panel for each method; each true bin (row) sums to 100 %."""
    columns = min(3, len(responses))
    rows = -(-len(responses) // columns)
    first = responses[0]
    with figure(1.6 + 3.6 * columns, 1.2 + 3.3 * rows) as canvas:
        panels = canvas.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes, one in zip(panels.ravel(), responses, strict=False):
            image = _cells(axes, 100 * one.matrix, one.texts, 0.0, 100.0, 8 if len(one.texts) > 4 else 10)
            axes.set_title(one.method, fontsize=11, loc="left")
        for axes in panels.ravel()[len(responses) :]:
            axes.set_visible(False)
        canvas.colorbar(image, ax=panels, label="fraction of the true bin [%]", shrink=0.7)
        canvas.supxlabel(f"{first.label} of the method", fontsize=13)
        canvas.supylabel(f"true {first.label}", fontsize=13)
        canvas.suptitle(f"{experiment_label(look().settings)}   {right_title(note)}", fontsize=12, x=0.02, ha="left")
        return save(canvas, stem)


def plot_overlaps(stem: Path | None, overlaps: Sequence[Overlap], part: str, note: str = "") -> Plot:
    """Draw a ``part`` for each pair of methods in percent: ``union`` (at least one is right) or ``only_first`` (only the row is right)."""
    names = list(dict.fromkeys(one.first for one in overlaps))
    values = np.array([getattr(one, part).value for one in overlaps]).reshape(len(names), len(names))
    errors = np.array([getattr(one, part).error for one in overlaps]).reshape(len(names), len(names))
    if part == "only_first":
        np.fill_diagonal(values, np.nan)
    what = {"union": "at least one is right [%]", "only_first": "row is right, column is wrong [%]"}[part]
    return _draw(stem, 100 * values, names, what, note, 100 * errors)


def _draw(stem: Path | None, values: Floats, texts: Sequence[str], what: str, note: str, errors: Floats) -> Plot:
    """Draw values (B, B) with a label for each row and column."""
    size = len(texts)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    with figure(3.4 + 0.78 * size, 2.6 + 0.72 * size) as canvas:
        axes = canvas.subplots()
        image = _cells(axes, values, texts, low, max(high, low + 1e-9), 9 if size > 6 else 11, errors)
        canvas.colorbar(image, ax=axes, label=what, shrink=0.9)
        mark(axes, note)
        return save(canvas, stem)


def _cells(
    axes: Axes, values: Floats, texts: Sequence[str], low: float, high: float, size: int, errors: Floats | None = None
) -> AxesImage:
    """Draw values (B, B) as colours and text, with a label for each row and column."""
    image = axes.imshow(values, cmap="cividis", vmin=low, vmax=high)
    slanted = max(map(len, texts)) > 6
    axes.set_xticks(
        range(len(texts)), texts, rotation=35 if slanted else 0, ha="right" if slanted else "center", fontsize=size + 1
    )
    axes.set_yticks(range(len(texts)), texts, fontsize=size + 1)
    axes.tick_params(which="both", length=0)
    axes.minorticks_off()
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = f"{value:.1f}" + (f"\n±{errors[row, column]:.1f}" if errors is not None else "")
            colour = "black" if value > (low + high) / 2 else "white"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
    return image
