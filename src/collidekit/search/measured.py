"""What a search needs to know of one training, and how its epochs are compared at equal steps."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from collidekit.errors import CollidekitError

Epochs = Sequence[Mapping[str, Any]]
"""Rows of ``history.csv`` so far."""
Train = Callable[[dict[str, Any], int, Callable[[Epochs], None]], "Measured"]
"""Trains with settings and a seed, and hands all rows so far over after each epoch."""


class SearchError(CollidekitError):
    """An error that would end every trial in the same way: it ends the search."""


class PrunedError(Exception):
    """The trial is worse than the others at the same step."""


class TakenOverError(Exception):
    """Another process holds this one for lost, and has released the trial."""


@frozen
class Measured:
    """One training, on its validation rows."""

    seed: int
    folder: Path
    hash: str
    epoch: int
    """The epoch that was kept."""
    figures: dict[str, float]
    """The columns of ``history.csv`` at that epoch."""
    parameters: int
    validation: str
    """What tells the validation rows from others."""


def value_of(row: Mapping[str, Any], metric: str) -> float:
    """Return the metric of a row of ``history.csv``; an error where there is no such column, or no number in it."""
    if metric not in row or row[metric] in (None, ""):
        names = ", ".join(name for name in row if name.startswith("val_"))
        raise SearchError(
            f"--metric {metric}: history.csv has no such column; columns of the validation rows are {names}"
        )
    value = float(row[metric])
    if not math.isfinite(value):
        raise CollidekitError(f"{metric} of epoch {row.get('epoch')} is {value}")
    return value


def at_equal_steps(epochs: Epochs, metric: str, interval: int) -> dict[int, float]:
    """Return the metric at multiples of ``interval`` training steps, on straight lines between the ends of epochs.

    There is no value before the end of the first epoch and after that of the last.
    """
    found: dict[int, float] = {}
    places = [(int(float(row["steps"])), value_of(row, metric)) for row in epochs]
    for i, (step, value) in enumerate(places):
        before_step, before = places[i - 1] if i else (step, value)
        for wanted in range(-(-before_step // interval) * interval, step + 1, interval):
            share = (wanted - before_step) / (step - before_step) if step > before_step else 1.0
            found[wanted] = before + share * (value - before)
    return {step: value for step, value in found.items() if step > 0}
