"""A metric of each run of a sample, with errors and bootstrap replicates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collidekit.benchmark.scoring.failures import ScoringError
from collidekit.benchmark.scoring.sample import Sample
from collidekit.evaluation.classification.few_rows import FEW
from collidekit.evaluation.classification.means import weighted_mean
from collidekit.evaluation.rows import Floats


@dataclass(frozen=True, eq=False)
class Measured:
    """Values (R,) and errors (R,) of the runs, NaN where an error is not known; replicates (R, B), None with too few rows."""

    value: Floats
    error: Floats
    replicates: Floats | None
    limit: NDArray[np.bool_]
    """(R,) True where the value is a lower limit."""
    note: str = ""


def few_rows(what: str, rows: int) -> str:
    """Return the note for so few rows that differences are not tested; empty for enough rows."""
    return f"{rows} {what} are too few to test differences between submissions" if rows < FEW else ""


def measure_mean(
    sample: Sample, values: Floats, used: ArrayLike | None = None, errors: Floats | None = None
) -> Measured:
    """Return the weighted mean over the rows ``used`` (N,) of values (R, N); by default all rows.

    Errors are sqrt(sum w^2 (x - mean)^2) / sum w, where none are given.
    """
    rows = np.full(len(sample.truth), True) if used is None else np.asarray(used, dtype=bool)
    weights = sample.truth.weights[rows]
    if not rows.any() or weights.sum() <= 0:
        raise ScoringError(f"{sample.name}: no row with a positive sum of weights is left for a metric")
    kept = values[:, rows]
    means = [weighted_mean(run, weights) for run in kept]
    note = few_rows("rows", int(rows.sum()))
    replicates = None if note else mean_replicates(sample, kept, rows)
    return Measured(
        value=np.array([mean for mean, _ in means]),
        error=np.array([error for _, error in means]) if errors is None else errors,
        replicates=replicates,
        limit=np.full(len(means), False),
        note=note,
    )


def mean_replicates(sample: Sample, values: Floats, rows: NDArray[np.bool_]) -> Floats:
    """Return the weighted means (R, B) of values (R, M) of the chosen rows in each bootstrap replicate."""
    weights = sample.truth.weights[rows]
    found = np.full((len(values), sample.plan.replicates), np.nan)
    for replicate, counts in enumerate(sample.poisson()):
        drawn = weights * counts[rows]
        if (total := drawn.sum()) > 0:
            found[:, replicate] = values @ drawn / total
    return found
