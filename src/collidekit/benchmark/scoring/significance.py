"""Significance of the difference between two entries: paired difference of the leading metric with its error."""

import math

import numpy as np

from collidekit.benchmark.scoring.board import Difference
from collidekit.benchmark.scoring.result import Score, Scores

SIGMAS = 2.0
"""Standard deviations beyond which a difference counts."""
ROUNDING = 1e-8
"""Relative difference up to which scores are equal: replicates are stored with 9 digits, and sums in double precision round."""


def is_rounding(value: float, a: Score, b: Score) -> bool:
    """Return whether the difference of two scores is that of rounding alone, compared with the scores or with their errors."""
    scale = max(abs(a.value), abs(b.value), a.error or 0.0, b.error or 0.0)
    return abs(value) <= ROUNDING * scale


def difference(better: Scores, worse: Scores, metric: str, direction: str) -> Difference:
    """Return what the first scores have more than the second ones, in the direction of the metric.

    The error is the standard deviation of the difference of the bootstrap replicates, which have the same weights in all
    submissions. Where replicates are missing, it is the quadratic sum of both errors, which is larger for two taggers that
    are right and wrong on the same rows. A lower limit is better than a value where it exceeds it by two errors of the value. What
    differs by rounding alone never counts.
    """
    sign = 1.0 if direction == "higher" else -1.0
    a, b = better.metrics[metric], worse.metrics[metric]
    value = sign * (a.value - b.value)
    if a.limit or b.limit:
        return _with_limit(better, worse, metric, value, direction)
    ours, theirs = better.replicates.get(metric), worse.replicates.get(metric)
    if ours and theirs:
        count = min(len(ours), len(theirs))
        if count >= 2:
            error = float(np.std(np.subtract(ours[:count], theirs[:count]), ddof=1))
            return Difference(value, error, value > SIGMAS * error and not is_rounding(value, a, b))
    if a.error is None or b.error is None:
        return Difference(value, None, False, "the error of a score is not known")
    error = math.hypot(a.error, b.error)
    significant = value > SIGMAS * error and not is_rounding(value, a, b)
    return Difference(value, error, significant, "too few rows for a paired difference", paired=False)


def _with_limit(better: Scores, worse: Scores, metric: str, value: float, direction: str) -> Difference:
    a, b = better.metrics[metric], worse.metrics[metric]
    if a.limit and not b.limit and b.error is not None and direction == "higher":
        significant = value > SIGMAS * b.error
        reason = "" if significant else "one is a lower limit"
        return Difference(
            None, None, significant, reason or "exceeds it although it is only a lower limit", paired=False
        )
    return Difference(None, None, False, "both are lower limits" if a.limit and b.limit else "one is a lower limit")
