"""Reliability of probabilities: calibration error, log loss and Brier score, and the points of a reliability plot."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.evaluation.binomial import Efficiencies, binned_efficiency
from collidekit.evaluation.classification.bootstrap import poisson_weights
from collidekit.evaluation.classification.means import calibration_error, weighted_mean
from collidekit.evaluation.classification.metrics import SMALLEST_PROBABILITY
from collidekit.evaluation.rows import Floats, require_finite
from collidekit.files import plain
from collidekit.inference.predictions import Predictions
from collidekit.models.temperature import Temperature, tempered

BINS = 15
"""Number of bins of equal width for the calibration error, as in arXiv 1706.04599."""
DRAWS = 50
"""Number of random sets of labels that give the expected calibration error of exact probabilities."""


@dataclass(frozen=True)
class CalibrationNumbers:
    """Calibration of one set of probabilities. Log loss and Brier score are proper scores; the calibration error is not."""

    log_loss: float
    log_loss_error: float
    brier: float
    """Mean of sum_k (p_k - [k is true])^2."""
    brier_error: float
    calibration_error: float
    """sum_b W_b / W |accuracy_b - confidence_b| over bins b of the largest probability (arXiv 1706.04599, eq. 3)."""
    calibration_error_error: float
    """Standard deviation of Poisson bootstrap replicates."""
    calibration_error_expected: float
    """Calibration error of exact probabilities with the same number of rows: it is not 0, because each bin fluctuates."""
    class_errors: Mapping[str, float]
    """The same sum for the probability of each class and its true fraction (arXiv 1910.12656, eq. 3)."""

    def as_dict(self) -> dict[str, Any]:
        content: dict[str, Any] = plain(asdict(self))
        return content


@dataclass(frozen=True, eq=False)
class Reliability:
    """True fraction of one class in bins of its probability, arrays (B,); NaN in empty bins."""

    name: str
    edges: Floats
    predicted: Floats
    """Mean probability in each bin."""
    true: Efficiencies
    share: Floats
    """Fraction of all weight in each bin."""


@dataclass(frozen=True)
class CalibrationResult:
    """Calibration before and after temperature scaling, on the same rows; ``after`` is None without a temperature."""

    temperature: Temperature | None
    rows: int
    before: CalibrationNumbers
    after: CalibrationNumbers | None = None
    log_loss_change: float | None = None
    log_loss_change_error: float | None = None
    """Error of the difference, paired on the same rows."""

    @property
    def fitted_on(self) -> str:
        """Return a description of the rows to which the temperature was fitted."""
        return self.temperature.fitted_on if self.temperature else ""

    def as_dict(self) -> dict[str, Any]:
        content: dict[str, Any] = plain(asdict(self))
        return content


def measure_calibration(
    predictions: Predictions, temperature: Temperature | None, replicates: int = 200, seed: int = 0
) -> CalibrationResult:
    """Measure the calibration of predictions without calibration, on the rows of known class."""
    known = known_rows(predictions)
    before = calibration_numbers(known, replicates, seed)
    if temperature is None:
        return CalibrationResult(None, len(known), before)
    scaled = at_temperature(known, temperature.value)
    change, error = weighted_mean(_losses(scaled) - _losses(known), known.weights)
    after = calibration_numbers(scaled, replicates, seed)
    return CalibrationResult(temperature, len(known), before, after, change, error)


def calibration_numbers(predictions: Predictions, replicates: int = 200, seed: int = 0) -> CalibrationNumbers:
    """Return all numbers for rows of known class."""
    p, labels, weights = predictions.probabilities, predictions.labels, predictions.weights
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == labels
    loss, loss_error = weighted_mean(_losses(predictions), weights)
    true = p[np.arange(len(p)), labels]
    brier, brier_error = weighted_mean((p**2).sum(axis=1) - 2 * true + 1, weights)
    drawn = [
        calibration_error(confidence, correct, weights * counts, BINS)
        for counts in poisson_weights(len(p), replicates, seed)
        if weights @ counts > 0
    ]
    generator = np.random.default_rng(seed)
    perfect = [
        calibration_error(confidence, generator.random(len(p)) < confidence, weights, BINS) for _ in range(DRAWS)
    ]
    return CalibrationNumbers(
        log_loss=loss,
        log_loss_error=loss_error,
        brier=brier,
        brier_error=brier_error,
        calibration_error=calibration_error(confidence, correct, weights, BINS),
        calibration_error_error=float(np.std(drawn, ddof=1)) if len(drawn) > 1 else math.nan,
        calibration_error_expected=float(np.mean(perfect)),
        class_errors={
            name: calibration_error(p[:, k], labels == k, weights, BINS) for k, name in enumerate(predictions.classes)
        },
    )


def reliability(predictions: Predictions, name: str, bins: int = BINS) -> Reliability:
    """Return the points of a reliability plot for one class, with Wilson intervals of weighted rows."""
    k = predictions.classes.index(name)
    p, weights = predictions.probabilities[:, k], predictions.weights
    index = np.minimum((p * bins).astype(np.int64), bins - 1)
    total = np.bincount(index, weights=weights, minlength=bins)
    summed = np.bincount(index, weights=weights * p, minlength=bins)
    filled = total > 0
    predicted = np.where(filled, summed / np.where(filled, total, 1.0), np.nan)
    true = binned_efficiency(predictions.labels == k, weights, index, bins)
    return Reliability(name, np.linspace(0, 1, bins + 1), predicted, true, total / total.sum())


def known_rows(predictions: Predictions) -> Predictions:
    """Return the rows of known class, in double precision."""
    known = predictions.labels >= 0
    if not known.any():
        raise CollidekitError("no row has a known class, which calibration needs")
    chosen = replace(
        predictions,
        probabilities=np.asarray(predictions.probabilities[known], dtype=np.float64),
        labels=predictions.labels[known].astype(np.int64),
        weights=np.asarray(predictions.weights[known], dtype=np.float64),
        spectators={name: values[known] for name, values in predictions.spectators.items()},
        event={name: values[known] for name, values in predictions.event.items()},
    )
    require_finite(chosen.probabilities, "rows of probabilities")
    require_finite(chosen.weights, "weights")
    if (total := chosen.weights.sum()) <= 0:
        raise CollidekitError(f"the sum of the weights is {total:g}; it must be above 0")
    return chosen


def at_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """Return the same rows with probabilities at a temperature."""
    return replace(predictions, probabilities=tempered(predictions.probabilities, temperature))


def _losses(predictions: Predictions) -> Floats:
    true = predictions.probabilities[np.arange(len(predictions)), predictions.labels]
    losses: Floats = -np.log(np.maximum(true, SMALLEST_PROBABILITY))
    return losses
