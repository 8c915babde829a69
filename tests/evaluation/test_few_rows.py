"""The error of an AUC with few rows."""

import numpy as np
import pytest

from collidekit.evaluation.classification.comparison import paired_difference
from collidekit.evaluation.classification.few_rows import hanley_mcneil
from collidekit.evaluation.classification.means import weighted_mean
from collidekit.evaluation.classification.roc_result import measure_roc


def spread_of_auc(signal_rows: int, tries: int = 2000) -> float:
    """Return the true spread of the AUC over samples with this number of signal rows and 500 background rows."""
    random = np.random.default_rng(1)
    background = random.normal(size=(tries, 500))
    signal = random.normal(1.5, 1, size=(tries, signal_rows))
    return float(np.std((signal[:, :, None] > background[:, None, :]).mean(axis=(1, 2))))


@pytest.mark.parametrize("signal_rows", [1, 2, 5])
def test_few_signal_rows_have_an_honest_error(signal_rows: int) -> None:
    """On average the error is between one and two times the true spread; the bootstrap gives a tenth of it."""
    random = np.random.default_rng(2)
    stated = []
    for _ in range(30):
        scores = np.concatenate([random.normal(1.5, 1, signal_rows), random.normal(size=500)])
        truth = np.arange(len(scores)) < signal_rows
        stated.append(measure_roc("SvsB", scores, truth, replicates=50).auc_error)
    true = spread_of_auc(signal_rows)
    assert 0.9 * true < np.mean(stated) < 2 * true


def test_one_row_above_all_others_has_an_error_too() -> None:
    result = measure_roc("SvsB", np.arange(100.0), np.arange(100) == 99, replicates=50)
    assert result.auc == 1.0
    assert result.auc_error > 0.1


def test_many_rows_keep_the_bootstrap() -> None:
    random = np.random.default_rng(3)
    truth = np.arange(4000) % 2 == 0
    result = measure_roc("SvsB", random.normal(truth * 1.0, 1.0), truth)
    assert result.auc_error == result.replicates.auc_error
    assert result.auc_error == pytest.approx(hanley_mcneil(result.auc, 2000, 2000), rel=0.2)


@pytest.mark.parametrize("signal_rows", [6, 10, 15])
def test_a_rejection_on_few_signal_rows_has_an_honest_error(signal_rows: int) -> None:
    """The background efficiency at a signal efficiency of 0.5 fluctuates by its error, within a factor of two."""
    random = np.random.default_rng(4)
    found, stated = [], []
    for _ in range(60):
        scores = np.concatenate([random.normal(1, 1, signal_rows), random.normal(size=400)])
        truth = np.arange(len(scores)) < signal_rows
        rejection = measure_roc("SvsB", scores, truth, targets=(0.5,), replicates=30).rejections[0]
        found.append(rejection.background_efficiency)
        stated.append(rejection.background_efficiency_error)
    assert 0.7 * np.std(found) < np.mean(stated) < 2 * np.std(found)


def test_one_signal_row_gives_no_error_of_a_rejection() -> None:
    random = np.random.default_rng(5)
    result = measure_roc("SvsB", random.normal(size=500), np.arange(500) == 3, replicates=30)
    assert all(rejection.error is None for rejection in result.rejections)
    assert str(result.rejections[0]).endswith("(too few signal rows)")


def test_taggers_are_not_compared_on_few_rows() -> None:
    random = np.random.default_rng(6)
    truth = np.arange(500) < 7
    a, b = (measure_roc(name, random.normal(size=500) + shift * truth, truth) for name, shift in (("a", 3), ("b", 0)))
    pair = paired_difference(a, b)
    assert pair.auc.value is None
    assert str(pair.auc) == "AUC: not comparable, 7 signal rows are too few"
    assert {entry.reason for entry in pair.rejections} == {"7 signal rows are too few"}


def test_a_mean_of_one_row_has_no_error() -> None:
    assert np.isnan(weighted_mean([0.7], [1.0])[1])
    assert weighted_mean([0.0, 1.0], [1.0, 1.0])[1] == pytest.approx(np.sqrt(0.5) / 2)
