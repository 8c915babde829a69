"""Accuracy, log loss, confusion matrix, calibration, counts."""

import json
from dataclasses import replace

import numpy as np
import pytest

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.means import weighted_mean
from collidekit.evaluation.classification.metrics import classification_metrics
from collidekit.inference.predictions import Predictions


def three_rows(weights: list[float]) -> Predictions:
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    return Predictions(("a", "b"), probabilities, np.array([0, 0, 1]), np.array(weights))


def test_numbers_by_hand() -> None:
    metrics = classification_metrics(three_rows([1.0, 1.0, 2.0]))
    assert metrics.accuracy.value == pytest.approx(0.75)
    assert metrics.log_loss == pytest.approx(-(np.log(0.8) + np.log(0.4) + 2 * np.log(0.7)) / 4)
    np.testing.assert_allclose(metrics.confusion.share, [[0.5, 0.5], [0, 1]])
    np.testing.assert_array_equal(metrics.confusion.rows, [[1, 1], [0, 1]])
    assert [(count.rows, count.weight) for count in metrics.counts] == [(2, 2.0), (1, 2.0)]
    assert metrics.brier == pytest.approx((2 * 0.2**2 + 2 * 0.6**2 + 2 * 2 * 0.3**2) / 4)


def test_weights_are_repetitions() -> None:
    weighted, single = classification_metrics(three_rows([1, 3, 2])), three_rows([1, 1, 1])
    rows = np.repeat(np.arange(3), [1, 3, 2])
    repeated = classification_metrics(
        Predictions(("a", "b"), single.probabilities[rows], single.labels[rows], np.ones(len(rows)))
    )
    assert weighted.log_loss == pytest.approx(repeated.log_loss)
    np.testing.assert_allclose(weighted.confusion.share, repeated.confusion.share)
    assert weighted.calibration_error == pytest.approx(repeated.calibration_error)


def test_confusion_rows_sum_to_one_with_negative_weights(flavour) -> None:
    metrics = classification_metrics(flavour)
    np.testing.assert_allclose(metrics.confusion.share.sum(axis=1), 1)
    assert np.all(metrics.confusion.error > 0)
    assert sum(count.negative for count in metrics.counts) == (flavour.weights < 0).sum()
    json.dumps(metrics.as_dict(), allow_nan=False)


def test_calibrated_probabilities_have_a_small_calibration_error() -> None:
    generator = np.random.default_rng(0)
    signal = generator.random(50_000)
    labels = (generator.random(50_000) < signal).astype(int)
    calibrated = Predictions(("a", "b"), np.stack([1 - signal, signal], axis=1), labels, np.ones(50_000))
    assert classification_metrics(calibrated).calibration_error < 0.015
    overconfident = np.clip(2 * signal - 0.5, 0.01, 0.99)
    twisted = replace(calibrated, probabilities=np.stack([1 - overconfident, overconfident], axis=1))
    assert classification_metrics(twisted).calibration_error > 0.08


def test_rows_of_unknown_truth_are_left_out() -> None:
    known = three_rows([1, 1, 1])
    more = Predictions(
        ("a", "b"),
        np.vstack([known.probabilities, [[0.5, 0.5]]]),
        np.append(known.labels, -1),
        np.append(known.weights, 1.0),
    )
    assert classification_metrics(more).log_loss == classification_metrics(known).log_loss
    with pytest.raises(CollidekitError, match="no row has a known class"):
        classification_metrics(replace(known, labels=np.full(3, -1)))
    with pytest.raises(CollidekitError, match="weights is 0"):
        classification_metrics(replace(known, weights=np.zeros(3)))


def test_error_of_a_weighted_mean_is_that_of_the_mean() -> None:
    values = np.random.default_rng(0).normal(3, 2, 10_000)
    mean, error = weighted_mean(values, np.full(10_000, 0.2))
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(values.std() / 100)
