"""Weighted means with their errors, and the calibration error."""

import numpy as np
from numpy.typing import ArrayLike

from collidekit.evaluation.rows import Floats


def weighted_mean(values: ArrayLike, weights: ArrayLike) -> tuple[float, float]:
    """Return the mean of values (N,) and its statistical error, sqrt(sum w^2 (x - mean)^2) / sum w; NaN for a single row."""
    value, weight = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    mean = (weight @ value) / weight.sum()
    error = float(np.sqrt((weight**2) @ (value - mean) ** 2) / weight.sum())
    return float(mean), error if np.count_nonzero(weight) > 1 else float("nan")


def calibration_error(confidence: Floats, correct: ArrayLike, weights: Floats, bins: int = 15) -> float:
    """Return the weighted mean over bins of confidence of |mean confidence - accuracy|."""
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = weights * (confidence - np.asarray(correct, dtype=np.float64))
    return float(np.abs(np.bincount(index, weights=gap, minlength=bins)).sum() / weights.sum())
