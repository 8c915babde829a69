"""Rows on which a discriminator is evaluated, with checks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collidekit.errors import CollidekitError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class BinaryRows:
    """Scores, truth and weights, all of shape (N,): finite, with a positive sum of weights for signal and for background."""

    scores: NDArray[Any]
    is_signal: Bools
    weights: Floats


def binary_rows(scores: ArrayLike, is_signal: ArrayLike, weights: ArrayLike | None = None) -> BinaryRows:
    """Check scores, truth and weights of signal and background; without weights, each row counts once.

    Raises CollidekitError for unequal lengths, NaN or infinite scores or weights, and no rows or no weight on one side.
    """
    score = np.asarray(scores)
    truth = np.asarray(is_signal).astype(bool)
    weight = np.ones(len(score)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not score.shape == truth.shape == weight.shape or score.ndim != 1:
        raise CollidekitError(
            f"scores {score.shape}, truth {truth.shape} and weights {weight.shape} must have the same length, with one number for each row"
        )
    require_finite(score, "scores")
    require_finite(weight, "weights")
    for name, side in (("signal", truth), ("background", ~truth)):
        if not side.any():
            raise CollidekitError(f"no {name} rows among {len(score)}: a ROC curve needs signal and background")
        if (total := weight[side].sum()) <= 0:
            raise CollidekitError(f"the sum of the weights of the {name} rows is {total:g}; it must be above 0")
    return BinaryRows(score, truth, weight)


def require_finite(values: NDArray[Any], what: str) -> None:
    """Raise CollidekitError with the count and the first row if values are NaN or infinite."""
    bad = ~np.isfinite(values)
    if bad.any():
        rows = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))
        raise CollidekitError(f"{len(rows)} of {len(values)} {what} are NaN or infinite, the first in row {rows[0]}")
