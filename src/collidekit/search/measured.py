"""Results of one training for the search, and the comparison of its epochs with those of others."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from collidekit.errors import CollidekitError

Epochs = Sequence[Mapping[str, Any]]
"""Rows of ``history.csv`` so far."""
Train = Callable[[dict[str, Any], int, Callable[[Epochs], None]], "Measured"]
"""Function that trains with settings and a seed, and passes all rows so far to a callback after each epoch."""


class SearchError(CollidekitError):
    """Error that every trial would raise, too: it ends the search."""


class PrunedError(Exception):
    """Raised in a trial that is worse than the others at the same epoch."""


class TakenOverError(Exception):
    """Raised if another process took this one for lost and released the trial."""


@frozen
class Measured:
    """Results of one training on its validation set."""

    seed: int
    folder: Path
    hash: str
    epoch: int
    """The epoch that was kept."""
    figures: dict[str, float]
    """The columns of ``history.csv`` at that epoch."""
    parameters: int
    validation: str
    """Checksum of the validation rows."""


def value_of(row: Mapping[str, Any], metric: str) -> float:
    """Return the metric of a row of ``history.csv``; raise an error if there is no such column or no number in it."""
    if metric not in row or row[metric] in (None, ""):
        names = ", ".join(name for name in row if name.startswith("val_"))
        raise SearchError(
            f"--metric {metric}: history.csv has no such column; columns of the validation rows are {names}"
        )
    value = float(row[metric])
    if not math.isfinite(value):
        raise CollidekitError(f"{metric} of epoch {row.get('epoch')} is {value}")
    return value


def by_epoch(epochs: Epochs, metric: str) -> dict[int, float]:
    """Return the metric of each epoch, by its number.

    All trials have the same training set: after the same number of epochs they have seen equally many rows, for any batch size.
    """
    return {int(float(row["epoch"])): value_of(row, metric) for row in epochs}
