"""Loss, accuracy and learning rate against the epoch."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from collidekit.errors import CollidekitError
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save
from collidekit.evaluation.rows import Floats
from collidekit.sealed import as_written

PANELS = (
    ("loss", {"train_loss": "training", "val_loss": "validation"}),
    ("accuracy", {"train_accuracy": "training", "val_accuracy": "validation"}),
    ("learning rate", {"learning_rate": "learning rate"}),
)
APART = (
    ("training loss", {"train_loss": "training"}),
    ("validation loss", {"val_loss": "validation"}),
)
MANY_EPOCHS = 40
"""Maximum number of epochs of curves with markers."""


def plot_loss_curves(
    stem: str | Path | None, history: str | Path | Sequence[Mapping[str, Any]], note: str = "", apart: bool = False
) -> Plot:
    """Draw one panel each for loss, accuracy and learning rate; columns that are missing in the history are left out.

    With ``apart``, training and validation loss have separate panels, because they are different quantities.

    The history is a CSV file or rows with the columns epoch, train_loss, val_loss, train_accuracy, val_accuracy,
    learning_rate. The epoch of the smallest validation loss is marked.
    """
    columns = _columns(Path(history) if isinstance(history, str) else history)
    panels = [
        (name, curves)
        for name, curves in (APART + PANELS[1:] if apart else PANELS)
        if any(np.isfinite(columns[c]).any() for c in curves)
    ]
    if not panels:
        raise CollidekitError("the training history holds no finite loss, accuracy or learning rate: nothing to draw")
    heights = [
        3.0 if name == "loss" else 2.0 if name.endswith("loss") else 1.8 if name == "accuracy" else 1.2
        for name, _ in panels
    ]
    with figure(7.0, 1.2 + 1.1 * sum(heights)) as canvas:
        grid = canvas.subplots(len(panels), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for axes, (name, curves) in zip(grid, panels, strict=True):
            _draw(axes, columns, name, curves)
        _mark_best(grid, columns)
        for axes in grid[: 2 if apart and len(grid) > 1 else 1]:
            axes.legend()
        epoch_axis(grid[-1])
        mark(grid[0], note)
        canvas.align_ylabels()
        return save(canvas, stem)


def epoch_axis(axes: Axes) -> None:
    """Set ticks at whole epochs."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_minor_locator(MaxNLocator(nbins=40, integer=True))


def _columns(history: Path | Sequence[Mapping[str, Any]]) -> dict[str, Floats]:
    if isinstance(history, Path):
        with as_written(history), history.open(newline="", encoding="utf-8") as file:
            rows: Sequence[Mapping[str, Any]] = list(csv.DictReader(file))
    else:
        rows = history
    if not rows:
        raise CollidekitError(f"{history if isinstance(history, Path) else 'the training history'}: no epochs to draw")
    names = ["epoch", *(name for _, curves in PANELS for name in curves)]
    columns = {name: np.array([_number(row.get(name)) for row in rows]) for name in names}
    if not np.isfinite(columns["epoch"]).all():
        columns["epoch"] = np.arange(1, len(rows) + 1, dtype=np.float64)
    return columns


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _draw(axes: Axes, columns: Mapping[str, Floats], name: str, curves: Mapping[str, str]) -> None:
    marker = "o" if len(columns["epoch"]) <= MANY_EPOCHS else ""
    looks = {"training": (colours(6)[0], "-"), "validation": (colours(6)[2], "--"), "learning rate": ("black", "-")}
    for column, label in curves.items():
        colour, line = looks[label]
        if np.isfinite(columns[column]).any():
            style: dict[str, Any] = {"color": colour, "linestyle": line, "marker": marker}
            axes.plot(columns["epoch"], columns[column], label=label, markersize=4, **style)
    axes.set_ylabel(name)
    if name == "learning rate" and _spans_decades(columns["learning_rate"]):
        axes.set_yscale("log")


def _spans_decades(values: Floats) -> bool:
    positive = values[np.isfinite(values) & (values > 0)]
    return len(positive) > 1 and float(positive.max() / positive.min()) > 20


def _mark_best(grid: Any, columns: Mapping[str, Floats]) -> None:
    loss = columns["val_loss"]
    if not np.isfinite(loss).any():
        return
    best = int(np.nanargmin(loss))
    for index, axes in enumerate(grid):
        label = f"smallest validation loss, {loss[best]:.4g}" if index == 0 else None
        axes.axvline(columns["epoch"][best], color="grey", linestyle=":", linewidth=1.3, label=label, zorder=0)
