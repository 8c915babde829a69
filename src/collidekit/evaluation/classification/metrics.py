"""Metrics of a classifier with any number of classes: accuracy, log loss, confusion matrix, calibration, counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from collidekit.errors import CollidekitError
from collidekit.evaluation.binomial import Efficiency, binned_efficiency, effective_size, efficiency
from collidekit.evaluation.classification.means import calibration_error, weighted_mean
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.rows import Floats, Ints, require_finite
from collidekit.files import plain
from collidekit.inference.predictions import Predictions

SMALLEST_PROBABILITY = 1e-12
"""Lower limit of a probability: a true class with probability 0 would make the log loss infinite."""


@dataclass(frozen=True)
class ClassCount:
    """Rows of one class: number, sum of weights, effective number, number of rows with negative weight."""

    name: str
    rows: int
    weight: float
    effective: float
    negative: int


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """Fraction (K, K) of true class k (row) whose predicted class is j (column), rows normalised to 1, with errors (K, K)."""

    classes: tuple[str, ...]
    share: Floats
    error: Floats
    rows: Ints
    """(K, K) unweighted counts."""


@dataclass(frozen=True, eq=False)
class Metrics:
    """Metrics of one set of predictions."""

    accuracy: Efficiency
    log_loss: float
    log_loss_error: float
    calibration_error: float
    """Expected calibration error: mean distance between confidence and accuracy (arXiv 1706.04599), 15 bins."""
    brier: float
    counts: tuple[ClassCount, ...]
    confusion: ConfusionMatrix

    def as_dict(self) -> dict[str, Any]:
        matrix = self.confusion
        content: dict[str, Any] = plain(
            {
                "accuracy": self.accuracy.as_dict(),
                "log_loss": self.log_loss,
                "log_loss_error": self.log_loss_error,
                "calibration_error": self.calibration_error,
                "brier": self.brier,
                "counts": [vars(count) for count in self.counts],
                "confusion": {
                    "classes": matrix.classes,
                    "share": matrix.share,
                    "error": matrix.error,
                    "rows": matrix.rows,
                },
            }
        )
        return content

    def headline(self) -> dict[str, str]:
        """Return accuracy, log loss and calibration error as text."""
        return {
            "accuracy": with_error(self.accuracy.value, self.accuracy.error),
            "log loss": with_error(self.log_loss, self.log_loss_error),
            "calibration error": f"{self.calibration_error:.2g}",
        }


def classification_metrics(predictions: Predictions) -> Metrics:
    """Return all metrics on the rows of known class."""
    known = predictions.labels >= 0
    labels, weights = (
        predictions.labels[known].astype(np.int64),
        np.asarray(predictions.weights[known], dtype=np.float64),
    )
    probabilities = np.asarray(predictions.probabilities[known], dtype=np.float64)
    if not len(labels):
        raise CollidekitError("no row has a known class, which the metrics need")
    require_finite(probabilities, "rows of probabilities")
    require_finite(weights, "weights")
    if (total := weights.sum()) <= 0:
        raise CollidekitError(f"the sum of the weights is {total:g}; it must be above 0")
    called = probabilities.argmax(axis=1)
    true_probability = probabilities[np.arange(len(labels)), labels]
    loss, loss_error = weighted_mean(-np.log(np.maximum(true_probability, SMALLEST_PROBABILITY)), weights)
    squares = (probabilities**2).sum(axis=1) - 2 * true_probability + 1
    return Metrics(
        accuracy=efficiency(called == labels, weights),
        log_loss=loss,
        log_loss_error=loss_error,
        calibration_error=calibration_error(probabilities.max(axis=1), called == labels, weights),
        brier=weighted_mean(squares, weights)[0],
        counts=class_counts(predictions.classes, labels, weights),
        confusion=confusion_matrix(predictions.classes, labels, called, weights),
    )


def class_counts(classes: tuple[str, ...], labels: ArrayLike, weights: ArrayLike) -> tuple[ClassCount, ...]:
    """Return the counts of class indices (N,) with weights (N,)."""
    index, weight = np.asarray(labels), np.asarray(weights, dtype=np.float64)
    counts = []
    for position, name in enumerate(classes):
        mine = weight[index == position]
        counts.append(ClassCount(name, len(mine), float(mine.sum()), effective_size(mine), int((mine < 0).sum())))
    return tuple(counts)


def confusion_matrix(classes: tuple[str, ...], labels: Ints, called: Ints, weights: Floats) -> ConfusionMatrix:
    """Return the confusion matrix of true and predicted class indices, each (N,); a class without rows has NaN in its row."""
    size = len(classes)
    columns = [binned_efficiency(called == index, weights, labels, size) for index in range(size)]
    return ConfusionMatrix(
        classes,
        np.stack([column.value for column in columns], axis=1),
        np.stack([column.error for column in columns], axis=1),
        np.stack([column.passed for column in columns], axis=1),
    )
