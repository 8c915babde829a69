"""Significance of selections against sums by hand, and sculpting of a background."""

import numpy as np
import pytest

from collidekit.analysis.figure_of_merit import FigureOfMerit
from collidekit.errors import CollidekitError
from collidekit.evaluation.significance.evaluate import SignificanceEvaluator
from collidekit.evaluation.significance.sculpting import jensen_shannon
from collidekit.inference.predictions import Predictions

MERIT = FigureOfMerit(
    variable="mass", window=(0.4, 0.6), signal="signal", yields={"background": 900.0, "signal": 100.0}
)


def predictions(number: int = 1000, seed: int = 0, relegated: bool = False) -> Predictions:
    random = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    score = np.clip(0.5 + 0.2 * (labels - 0.5) + 0.2 * random.normal(size=number), 0.01, 0.99)
    refused = np.where(np.abs(score - 0.5) < 0.1, 0.6, 0.0) if relegated else np.zeros(number)
    p = np.stack([1 - score, score], axis=1) * (1 - refused)[:, None]
    return Predictions(
        classes=("background", "signal"), probabilities=p, labels=labels, weights=random.uniform(0.5, 1.5, number),
        spectators={"mass": np.where(labels == 1, random.normal(0.5, 0.03, number), random.uniform(size=number))},
        relegated=refused if relegated else None,
    )  # fmt: skip


def test_all_rows_are_the_expected_events() -> None:
    judge = SignificanceEvaluator(predictions(), MERIT)
    assert judge.yields[judge.is_signal].sum() == pytest.approx(100)
    assert judge.yields[~judge.is_signal].sum() == pytest.approx(900)
    found = judge.measure(judge.everything())
    assert found.coverage == pytest.approx(1)
    assert found.signal == pytest.approx(100, abs=1)
    assert found.value == pytest.approx(found.signal / np.sqrt(found.signal + found.background))


def test_a_choice_by_hand() -> None:
    rows = predictions(400)
    judge = SignificanceEvaluator(rows, MERIT)
    chosen = rows.probabilities[:, 1] > 0.7
    inside = chosen & (rows.spectators["mass"] >= 0.4) & (rows.spectators["mass"] <= 0.6)
    sides = [rows.labels == 1, rows.labels == 0]
    s, b = (
        n * rows.weights[inside & side].sum() / rows.weights[side].sum()
        for n, side in zip((100, 900), sides, strict=True)
    )
    found = judge.measure(chosen)
    assert (found.signal, found.background) == pytest.approx((s, b))
    assert found.rows == inside.sum()


def test_without_background_rows_the_significance_is_a_limit() -> None:
    """About one background row is left in each sample; without any, S / sqrt(S) would be too large."""
    limits = []
    for seed in range(60):
        rows = predictions(300, seed)
        judge = SignificanceEvaluator(rows, MERIT)
        found = judge.measure(judge.score() > 0.93)
        left = (judge.score() > 0.93) & judge.in_window & judge.background()
        assert found.limit == (found.signal > 0 and not left.any())
        if found.limit:
            limits.append(found)
            assert found.background == pytest.approx(2.996 * 900 / judge.background().sum())
            assert found.value < np.sqrt(found.signal)
    assert limits


def test_the_error_is_the_spread_over_samples() -> None:
    found = [SignificanceEvaluator(predictions(800, seed), MERIT) for seed in range(200)]
    measured = [judge.measure(judge.score() > 0.6) for judge in found]
    spread = np.std([entry.value for entry in measured], ddof=1)
    # weights of a class are normalised to the expected events, so that the spread is a little less than Poisson's
    assert 0.6 < spread / np.mean([entry.error for entry in measured]) < 1.1


def test_relegated_rows_are_not_called_signal() -> None:
    judge = SignificanceEvaluator(predictions(relegated=True), MERIT)
    refused = judge.predictions.relegated > 0
    assert refused.any()
    assert not judge.called()[refused].any()
    np.testing.assert_array_equal(judge.relegated(), refused)
    plain = SignificanceEvaluator(predictions(), MERIT)
    assert plain.called()[refused].any()
    assert not plain.relegated().any()
    np.testing.assert_allclose(judge.score(), plain.score())


def test_the_best_threshold_is_that_of_trying_all() -> None:
    judge = SignificanceEvaluator(predictions(), MERIT)
    tried = {cut: judge.measure(judge.score() >= cut).value for cut in np.unique(judge.score())[:-40]}
    assert judge.measure(judge.score() >= judge.best_threshold()).value == pytest.approx(max(tried.values()))


def test_errors() -> None:
    rows = predictions()
    with pytest.raises(CollidekitError, match="contain no row of class 'signal'"):
        SignificanceEvaluator(
            Predictions(
                rows.classes, rows.probabilities, np.zeros(1000, int), rows.weights, spectators=rows.spectators
            ),
            MERIT,
        )
    few = predictions(16)
    with pytest.raises(CollidekitError, match="fewer than 10 signal rows"):
        SignificanceEvaluator(few, MERIT).best_threshold()


def test_jensen_shannon() -> None:
    random = np.random.default_rng(0)
    mass, ones = random.uniform(size=20_000), np.ones(20_000)
    apart, _ = jensen_shannon(mass, ones, mass > 0.5)
    assert apart == pytest.approx(1, abs=0.04)  # the bin with the edge holds both
    same, error = jensen_shannon(mass, ones, random.uniform(size=20_000) > 0.5)
    assert same < 0.002
    assert error < 0.002
    # by hand: densities 2 m and 2 (1 - m) on equal bins
    chosen = random.uniform(size=20_000) < mass
    p, q = ((2 * np.arange(30) + 1) / 900, (2 * np.arange(30)[::-1] + 1) / 900)
    middle = (p + q) / 2
    by_hand = ((p * np.log2(p / middle)).sum() + (q * np.log2(q / middle)).sum()) / 2
    found, error = jensen_shannon(mass, ones, chosen)
    assert abs(found - by_hand) < 4 * error
    assert np.isnan(jensen_shannon(mass, ones, np.zeros(20_000, bool))[0])


def test_sculpting_of_a_tagger_that_looks_at_the_mass() -> None:
    blind = predictions(20_000)
    seeing = np.exp(-(((blind.spectators["mass"] - 0.5) / 0.1) ** 2))
    looked = Predictions(
        blind.classes, np.stack([1 - seeing, seeing], axis=1), blind.labels, blind.weights, spectators=blind.spectators
    )  # fmt: skip
    assert SignificanceEvaluator(looked, MERIT).sculpting(0.5)[0] > 0.5
    assert SignificanceEvaluator(blind, MERIT).sculpting(0.5)[0] < 0.01
