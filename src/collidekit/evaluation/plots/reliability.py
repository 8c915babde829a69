"""Reliability plot: true fraction of a class against its predicted probability."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from collidekit.evaluation.calibration.reliability import Reliability, at_temperature, known_rows, reliability
from collidekit.evaluation.look import class_label
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save, with_ratio
from collidekit.inference.predictions import Predictions
from collidekit.models.temperature import Temperature

FEWEST = 5
"""Minimum number of rows of a bin with a point."""


def plot_reliabilities(
    folder: Path, predictions: Predictions, temperature: Temperature | None = None, note: str = ""
) -> list[Path]:
    """Draw ``reliability_<class>`` for each class, from predictions without calibration.

    For two classes only the second is drawn: the plot of the first is the same rotated by 180 degrees.
    """
    known = known_rows(predictions)
    scaled = None if temperature is None else at_temperature(known, temperature.value)
    text = "" if temperature is None else with_error(temperature.value, temperature.error)
    written: list[Path] = []
    for name in known.classes[1:] if len(known.classes) == 2 else known.classes:
        after = None if scaled is None else reliability(scaled, name)
        written += plot_reliability(folder / f"reliability_{name}", reliability(known, name), after, text, note)
    return written


def plot_reliability(
    stem: Path | None, before: Reliability, after: Reliability | None = None, temperature: str = "", note: str = ""
) -> Plot:
    """Draw the true fraction of a class against its mean probability in each bin, and the fraction of all rows in the bin.

    Intervals are 68 % Wilson intervals. Exact probabilities are on the diagonal. ``temperature`` is the text of
    its value with error, for the legend. Bins with fewer than five rows have no point, because their errors are too large.
    """
    drawn = [(before, "before", "s", "none", "--")]
    if after is not None:
        label = f"after, T = {temperature}" if temperature else "after"
        drawn.append((after, label, "o", "full", "-"))
    with figure(6.6, 6.6) as canvas:
        grid = with_ratio(canvas)[:, 0]
        grid[0].plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1.3, label="exact")
        for (points, label, marker, fill, line), colour in zip(drawn, (colours(6)[2], colours(6)[0]), strict=False):
            _draw_points(grid[0], points, {"color": colour, "marker": marker, "fillstyle": fill, "label": label})
            grid[1].stairs(points.share, points.edges, color=colour, linestyle=line, linewidth=1.8)
        grid[0].set_xlim(-0.03, 1.03)
        grid[0].set_ylim(-0.04, 1.06)
        name = class_label(before.name)
        grid[0].set_ylabel(f"fraction of true {name}")
        grid[0].legend(loc="upper left")
        grid[1].set_yscale("log")
        shown = np.concatenate([points.share[points.share > 0] for points, *_ in drawn])
        grid[1].set_ylim(min(10 ** np.floor(np.log10(shown.min())), 0.1), 1.5)
        grid[1].set_ylabel("fraction\nof rows", fontsize=11, loc="center")
        grid[1].set_xlabel(f"predicted probability of {name}")
        mark(grid[0], note)
        canvas.align_ylabels()
        return save(canvas, stem)


def _draw_points(axes: Axes, points: Reliability, style: dict[str, Any]) -> None:
    filled = np.isfinite(points.predicted) & (points.true.total >= FEWEST)
    x, y = points.predicted[filled], points.true.value[filled]
    spread = np.abs(np.stack([y - points.true.low[filled], points.true.high[filled] - y]))
    axes.errorbar(x, y, yerr=spread, linestyle="none", markersize=6, linewidth=1.4, **style)
