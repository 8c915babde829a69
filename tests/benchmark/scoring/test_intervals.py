"""Scores of intervals: the known answers of a Gaussian, and the interval score as a proper score."""

import numpy as np
import pytest
from scipy.stats import norm
from scoring_toys import metric, score_one

from collidekit.benchmark.scoring.failures import UnfitPredictions
from collidekit.benchmark.scoring.plan import ScoringPlan
from collidekit.benchmark.scoring.truth import make_truth

LEVEL = 0.68
METRICS = (
    metric("coverage"), metric("coverage_deviation", level=LEVEL), metric("width"), metric("interval_score", level=LEVEL),
)  # fmt: skip
ROWS = 20_000


def plan(*metrics: object) -> ScoringPlan:
    return ScoringPlan(
        task="intervals", columns=("low", "high"), truth_column="x", metrics=metrics or METRICS, replicates=50
    )  # type: ignore[arg-type]


def gaussian() -> np.ndarray:
    return np.random.default_rng(1).normal(size=ROWS)


def intervals(half: float, rows: int = ROWS) -> np.ndarray:
    return np.tile([-half, half], (rows, 1)).astype(float)


def test_a_gaussian() -> None:
    x, half = gaussian(), norm.ppf(0.5 + LEVEL / 2)
    scores = score_one(plan(), intervals(half), make_truth(np.arange(ROWS), {"x": x})).metrics
    assert scores["coverage"].value == np.mean(np.abs(x) <= half)
    assert scores["coverage"].error == pytest.approx(np.sqrt(LEVEL * (1 - LEVEL) / ROWS), rel=0.02)
    assert scores["coverage_deviation"].value == pytest.approx(abs(scores["coverage"].value - LEVEL))
    assert scores["width"].value == pytest.approx(2 * half)
    expected = 2 * half + 2 / (1 - LEVEL) * 2 * (norm.pdf(half) - half * norm.sf(half))
    assert scores["interval_score"].value == pytest.approx(expected, abs=4 * scores["interval_score"].error)


def test_the_interval_score_is_best_for_the_right_quantiles() -> None:
    truth = make_truth(np.arange(ROWS), {"x": gaussian()})
    right = norm.ppf(0.5 + LEVEL / 2)
    found = [
        score_one(plan(), intervals(half), truth).metrics["interval_score"].value
        for half in (right * 0.8, right, right * 1.2)
    ]
    assert found[1] < min(found[0], found[2])


def test_everything_covered_has_an_error() -> None:
    scores = score_one(plan(), intervals(100.0), make_truth(np.arange(ROWS), {"x": gaussian()})).metrics
    assert scores["coverage"].value == 1
    assert scores["coverage"].error > 0


def test_truth_that_is_not_known_does_not_count() -> None:
    x = gaussian()
    x[::2] = np.nan
    scores = score_one(plan(), intervals(1.0), make_truth(np.arange(ROWS), {"x": x})).metrics
    assert scores["coverage"].value == np.mean(np.abs(x[1::2]) <= 1)


def test_ends_in_the_wrong_order() -> None:
    with pytest.raises(
        UnfitPredictions, match=r"the lower end of an interval is above its upper end in row 0: 1 and -1"
    ):
        score_one(plan(), intervals(-1.0, 30), make_truth(np.arange(30), {"x": np.zeros(30)}))
