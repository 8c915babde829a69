"""Scores of predicted intervals: coverage, width and the interval score."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from collidekit.benchmark.scoring.failures import UnfitPredictions
from collidekit.benchmark.scoring.metrics.measured import Measured, measure_mean
from collidekit.benchmark.scoring.metrics.probabilities import fraction
from collidekit.benchmark.scoring.metrics.roc import Rocs
from collidekit.benchmark.scoring.sample import Sample
from collidekit.evaluation.rows import Bools, Floats


def coverage(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Fraction of the rows whose truth is inside the interval, with its binomial error."""
    low, high, true, known = _intervals(rocs.sample, settings)
    return fraction(rocs.sample, (low <= true) & (true <= high), known)


def coverage_deviation(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Distance of the coverage from the nominal level."""
    found, level = coverage(rocs, settings), float(settings["level"])
    # with a fixed sign, so that the replicates spread as those of the coverage; their absolute values would fold at 0
    sign = np.where(found.value < level, -1.0, 1.0)
    replicates = None if found.replicates is None else sign[:, None] * (found.replicates - level)
    return Measured(np.abs(found.value - level), found.error, replicates, found.limit, found.note)


def width(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Mean width of the intervals, in the unit of the truth."""
    low, high, _, known = _intervals(rocs.sample, settings)
    return measure_mean(rocs.sample, high - low, known)


def interval_score(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Mean of width + 2/alpha * (distance of the truth outside), alpha = 1 - level (Gneiting and Raftery 2007, eq. 43)."""
    low, high, true, known = _intervals(rocs.sample, settings)
    alpha = 1 - float(settings["level"])
    outside = np.maximum(low - true, 0) + np.maximum(true - high, 0)
    return measure_mean(rocs.sample, high - low + 2 / alpha * outside, known)


def _intervals(sample: Sample, settings: Mapping[str, Any]) -> tuple[Floats, Floats, Floats, Bools]:
    """Lower and upper ends (R, N), truth (N,) with 0 where it is not known, and the rows (N,) where it is."""
    low, high = sample.column(settings["low"]), sample.column(settings["high"])
    if (low > high).any():
        run, row = np.argwhere(low > high)[0]
        raise UnfitPredictions(
            f"{sample.name}: the lower end of an interval is above its upper end in row {sample.truth.keys[row]}: "
            f"{low[run, row]:.6g} and {high[run, row]:.6g}"
        )
    true = sample.truth.column(settings["truth"] or sample.plan.truth_column).astype(np.float64)
    known = np.isfinite(true)
    return low, high, np.where(known, true, 0.0), known
