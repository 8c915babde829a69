"""One number from the runs of an ensemble: outlier rule, median or mean, spread."""

import warnings
from dataclasses import dataclass

import numpy as np

from collidekit.benchmark.scoring.metrics.measured import Measured
from collidekit.evaluation.rows import Floats, Ints

FEWEST_RUNS = 5
"""With fewer runs, at most two lie between the quantiles, and the outlier rule would leave out most of the equally good ones."""


@dataclass(frozen=True, eq=False)
class Combined:
    """The number of an ensemble in one sample; ``spread`` is the standard deviation (divided by n) over the kept runs."""

    value: float
    error: float | None
    spread: float | None
    limit: bool
    replicates: Floats | None
    """(B,)"""
    runs: Floats
    """(R,) values of all runs."""
    note: str = ""


def kept_runs(values: Floats, outliers: str) -> Ints:
    """Return the indices of the runs that count, from the leading metric (R,).

    ``rob`` is the rule of the ROB demo: with the mean m and the standard deviation s (divided by n) of the runs from the 1/6
    to the 5/6 quantile, both included, runs outside m +- 3 s are left out. With fewer than ``FEWEST_RUNS`` none is.
    """
    if outliers == "none" or len(values) < FEWEST_RUNS:
        return np.arange(len(values))
    low, high = np.percentile(values, [100 / 6, 500 / 6])
    core = values[(low <= values) & (values <= high)]
    middle, spread = core.mean(), core.std()
    inside = (middle - 3 * spread <= values) & (values <= middle + 3 * spread)
    # rounding of the mean of equal values must not leave out all runs
    return np.flatnonzero(inside | (np.abs(values - middle) <= 1e-12 * abs(middle)))


def few_runs(runs: int, outliers: str) -> str:
    """Return the note for an ensemble of so few runs that the outlier rule leaves out none; empty for others."""
    if outliers == "none" or not 1 < runs < FEWEST_RUNS:
        return ""
    return f"the outlier rule needs at least {FEWEST_RUNS} runs; with {runs} nothing is left out"


def combine(measured: Measured, kept: Ints, rule: str) -> Combined:
    """Return the median or mean over the kept runs; each bootstrap replicate is combined in the same way."""
    values, limits = measured.value[kept], measured.limit[kept]
    summary = np.median if rule == "median" else np.mean
    value = float(summary(values))
    limit = bool(limits.any()) and not (
        rule == "median" and float(np.median(np.where(limits, np.inf, values))) == value
    )
    replicates = None if measured.replicates is None else summary(measured.replicates[kept], axis=0)
    errors = measured.error[kept]
    error: float | None = float(errors[0])
    if len(kept) > 1:
        error = float(np.median(errors)) if replicates is None else spread_of(replicates)
    return Combined(
        value=value,
        error=None if limit or error is None or not np.isfinite(error) else error,
        spread=float(values.std()) if len(kept) > 1 else None,
        limit=limit,
        replicates=None if limit else replicates,
        runs=measured.value,
        note=measured.note,
    )


def spread_of(replicates: Floats) -> float:
    """Return the standard deviation (divided by n - 1) of the replicates that have a value; NaN with fewer than two."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(np.nanstd(replicates, ddof=1))
