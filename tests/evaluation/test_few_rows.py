"""The error of an AUC that stands on few rows."""

import numpy as np
import pytest

from collidekit.evaluation.roc_result import hanley_mcneil, measure_roc


def spread_of_auc(signal_rows: int, tries: int = 2000) -> float:
    """The true spread of the AUC over samples with so many signal rows and 500 background rows."""
    random = np.random.default_rng(1)
    background = random.normal(size=(tries, 500))
    signal = random.normal(1.5, 1, size=(tries, signal_rows))
    return float(np.std((signal[:, :, None] > background[:, None, :]).mean(axis=(1, 2))))


@pytest.mark.parametrize("signal_rows", [1, 2, 5])
def test_few_signal_rows_have_an_honest_error(signal_rows: int) -> None:
    """On average the stated error is not below the true spread, and at most twice as large; the bootstrap gives a tenth."""
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
