"""Paired comparison of two taggers."""

import numpy as np
import pytest

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.comparison import paired_difference
from collidekit.evaluation.classification.roc_result import measure_roc

from .conftest import gaussians


def test_pairing_makes_the_error_of_a_difference_small() -> None:
    scores, truth = gaussians(4000, 1.5, seed=0)
    blurred = scores + np.random.default_rng(1).normal(0, 0.3, 4000)
    sharp, blunt = measure_roc("sharp", scores, truth), measure_roc("blunt", blurred, truth)
    pair = paired_difference(sharp, blunt)
    assert pair.auc.error < 0.5 * np.hypot(sharp.auc_error, blunt.auc_error)
    assert pair.auc.better == "sharp"
    assert paired_difference(blunt, sharp).auc.better == "sharp"
    assert paired_difference(blunt, sharp).auc.value == -pair.auc.value


def test_nobody_is_better_than_an_equal() -> None:
    """For two taggers of equal power, about one sample in twenty calls one of them better at two errors."""
    calls = 0
    for seed in range(40):
        scores, truth = gaussians(800, 1.0, seed=seed)
        noise = np.random.default_rng(1000 + seed).normal(0, 0.5, (2, 800))
        a, b = (
            measure_roc(name, scores + extra, truth, replicates=60) for name, extra in zip("ab", noise, strict=True)
        )
        calls += paired_difference(a, b).auc.better is not None
    assert calls <= 8


def test_a_tagger_does_not_differ_from_itself() -> None:
    a = measure_roc("a", *gaussians(500, 1.0, seed=3), replicates=20)
    pair = paired_difference(a, a)
    assert pair.auc.value == pair.auc.error == 0
    assert pair.auc.better is None


def test_a_limit_is_not_compared() -> None:
    truth = np.arange(200) < 100
    a = measure_roc("a", truth + np.linspace(0, 0.5, 200), truth, replicates=20)
    assert paired_difference(a, a).rejections[0].value is None


def test_other_rows_cannot_be_paired() -> None:
    a, b = (measure_roc(name, *gaussians(rows, 1.0, seed=3), replicates=20) for name, rows in (("a", 500), ("b", 502)))
    with pytest.raises(CollidekitError, match="same rows"):
        paired_difference(a, b)
