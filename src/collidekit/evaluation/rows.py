"""The rows that a discriminator is judged on, checked once."""

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
    """Scores, truth and weights, all of shape (N,): finite, with a positive sum of weights on both sides."""

    scores: NDArray[Any]
    is_signal: Bools
    weights: Floats


def binary_rows(scores: ArrayLike, is_signal: ArrayLike, weights: ArrayLike | None = None) -> BinaryRows:
    """Check the rows of a signal-against-background question; without weights, each row counts once.

    Raises CollidekitError: unequal lengths, NaN or infinite scores or weights, no rows or no weight on one side.
    """
    score = np.asarray(scores)
    truth = np.asarray(is_signal).astype(bool)
    weight = np.ones(len(score)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not score.shape == truth.shape == weight.shape or score.ndim != 1:
        raise CollidekitError(
            f"scores {score.shape}, truth {truth.shape} and weights {weight.shape} must be of one length: one number a row"
        )
    require_finite(score, "scores")
    require_finite(weight, "weights")
    for name, side in (("signal", truth), ("background", ~truth)):
        if not side.any():
            raise CollidekitError(f"no {name} rows among {len(score)}: a ROC curve needs signal and background")
        if (total := weight[side].sum()) <= 0:
            raise CollidekitError(f"the weights of the {name} rows sum to {total:g}: it must be more than 0")
    return BinaryRows(score, truth, weight)


def require_finite(values: NDArray[Any], what: str) -> None:
    """CollidekitError with the count and the first row where a value is NaN or infinite."""
    bad = ~np.isfinite(values)
    if bad.any():
        rows = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))
        raise CollidekitError(f"{len(rows)} of {len(values)} {what} are NaN or infinite, the first in row {rows[0]}")
