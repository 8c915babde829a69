"""Metrics of probabilities: accuracy, log loss, Brier score and calibration error, for any number of classes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from collidekit.benchmark.scoring.ensemble import spread_of
from collidekit.benchmark.scoring.metrics.measured import Measured, few_rows, measure_mean
from collidekit.benchmark.scoring.metrics.roc import Rocs
from collidekit.benchmark.scoring.sample import Sample
from collidekit.evaluation.binomial import efficiency
from collidekit.evaluation.classification.means import calibration_error as expected_error
from collidekit.evaluation.rows import Bools, Floats

SMALLEST_PROBABILITY = 1e-12
"""A true class with probability 0 would make the log loss infinite."""


def accuracy(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Fraction of the rows whose class is predicted: the most probable one, or the signal above a threshold of a single column."""
    sample = rocs.sample
    if len(sample.plan.columns) == 1:
        is_class = sample.labels == sample.classes.index(sample.single)
        right = (sample.predictions[:, :, 0] >= float(settings["threshold"])) == is_class
    else:
        right = sample.probabilities.argmax(axis=2) == sample.labels
    return fraction(sample, right)


def fraction(sample: Sample, right: Bools, used: Bools | None = None) -> Measured:
    """Return the fraction of the rows ``used`` (N,) that are right (R, N), with the binomial error of weighted rows."""
    rows = np.full(len(sample.truth), True) if used is None else used
    weights = sample.truth.weights[rows]
    errors = np.array([efficiency(run[rows], weights).error for run in right])
    return measure_mean(sample, right.astype(np.float64), rows, errors)


def log_loss(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Mean of -log p(true class); probabilities below 1e-12 count as 1e-12."""
    return measure_mean(rocs.sample, -np.log(np.maximum(_true(rocs.sample), SMALLEST_PROBABILITY)))


def brier(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Mean of sum_k (p_k - [k is true])^2 over the classes (Brier 1950), or half of it."""
    sample = rocs.sample
    squares = (sample.probabilities**2).sum(axis=2) - 2 * _true(sample) + 1
    return measure_mean(sample, squares / 2 if settings["scale_by_half"] else squares)


def calibration_error(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Mean distance between confidence and accuracy in bins (arXiv 1706.04599, eq. 3), or of one class and its fraction."""
    sample, bins = rocs.sample, int(settings["bins"])
    p, weights = sample.probabilities, sample.truth.weights
    if name := settings["class"]:
        k = sample.classes.index(name)
        confidence, right = p[:, :, k], np.broadcast_to(sample.labels == k, p.shape[:2])
    else:
        confidence, right = p.max(axis=2), p.argmax(axis=2) == sample.labels
    confidence = np.clip(confidence, 0, 1)
    note = few_rows("rows", len(weights))
    replicates = np.full((sample.runs, sample.plan.replicates), np.nan)
    for replicate, counts in enumerate(sample.poisson()):
        drawn = weights * counts
        if drawn.sum() > 0:
            replicates[:, replicate] = [
                expected_error(run, of_run, drawn, bins) for run, of_run in zip(confidence, right, strict=True)
            ]
    return Measured(
        value=np.array(
            [expected_error(run, of_run, weights, bins) for run, of_run in zip(confidence, right, strict=True)]
        ),
        error=np.array([spread_of(of_run) for of_run in replicates]),
        replicates=None if note else replicates,
        limit=np.full(sample.runs, False),
        note=note,
    )


def _true(sample: Sample) -> Floats:
    """The probability (R, N) of the true class."""
    found: Floats = np.take_along_axis(sample.probabilities, sample.labels[None, :, None], axis=2)[:, :, 0]
    return found
