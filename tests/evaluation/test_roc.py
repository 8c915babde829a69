"""ROC curves against analytic results, and invariances."""

import json

import numpy as np
import pytest
from scipy.stats import norm

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.bootstrap import GRID
from collidekit.evaluation.classification.roc import roc_curve
from collidekit.evaluation.classification.roc_result import measure_discriminator, measure_roc, write_rocs

from .conftest import gaussians

PUBLISHED = {"ParticleNet_v2": (0.98477, 1294), "PFN_v0": (0.98208, 890), "TopoDNN_v2": (0.97141, 290)}


def test_auc_and_efficiency_of_two_gaussians() -> None:
    result = measure_roc("toy", *gaussians(20_000, 1.5, seed=0))
    assert abs(result.auc - norm.cdf(1.5 / np.sqrt(2))) < 4 * result.auc_error
    for rejection in result.rejections:
        exact = norm.sf(norm.isf(rejection.signal_efficiency) + 1.5)
        assert abs(rejection.background_efficiency - exact) < 4 * rejection.background_efficiency_error


def test_bootstrap_error_is_the_spread_over_independent_samples() -> None:
    toys = [measure_roc("toy", *gaussians(2000, 1.0, seed=seed), replicates=60) for seed in range(60)]
    spread = np.std([toy.auc for toy in toys], ddof=1)
    assert np.mean([toy.auc_error for toy in toys]) == pytest.approx(spread, rel=0.3)
    at = int(np.argmin(np.abs(GRID - 0.4)))
    exact = norm.sf(norm.isf(GRID[at]) + 1.0)
    covered = [low[at] <= exact <= high[at] for low, high in (toy.replicates.band for toy in toys)]
    assert 0.5 < np.mean(covered) < 0.86  # 0.68 expected, three errors of 60 samples
    quoted = np.mean([toy.rejections[1].background_efficiency_error for toy in toys])
    spread = np.std([toy.rejections[1].background_efficiency for toy in toys], ddof=1)
    assert quoted == pytest.approx(spread, rel=0.3)


def test_auc_error_agrees_with_hanley_and_mcneil() -> None:
    """Hanley and McNeil 1982 give the exact error for exponential scores."""
    generator = np.random.default_rng(5)
    truth = np.arange(10_000) % 2 == 0
    scores = generator.exponential(np.where(truth, 2.0, 1.0))
    result = measure_roc("toy", scores, truth, replicates=400)
    auc, n = 2 / 3, 5000
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (auc * (1 - auc) + (n - 1) * (q1 - auc**2) + (n - 1) * (q2 - auc**2)) / n**2
    assert result.auc_error == pytest.approx(np.sqrt(variance), rel=0.12)


def test_integer_weights_are_repetitions() -> None:
    scores, truth = gaussians(400, 1.0, seed=2)
    counts = np.random.default_rng(3).integers(1, 4, 400)
    weighted = roc_curve(scores, truth, counts)
    repeated = roc_curve(np.repeat(scores, counts), np.repeat(truth, counts))
    assert weighted.auc == pytest.approx(repeated.auc, abs=1e-13)
    np.testing.assert_allclose(weighted.background_efficiencies, repeated.background_efficiencies, atol=1e-13)
    np.testing.assert_array_equal(weighted.thresholds, repeated.thresholds)


def test_a_row_and_its_negative_leave_nothing() -> None:
    scores, truth = gaussians(500, 1.0, seed=4)
    plain = roc_curve(scores, truth)
    more_scores, more_truth = np.append(scores, [0.3, 0.3, 9.0, 9.0]), np.append(truth, [True, True, False, False])
    cancelled = roc_curve(more_scores, more_truth, np.append(np.ones(500), [1, -1, 2, -2]))
    assert cancelled.auc == pytest.approx(plain.auc, abs=1e-13)
    assert cancelled.background_efficiency(0.5) == pytest.approx(plain.background_efficiency(0.5), abs=1e-13)


def test_order_of_rows_and_monotone_change_of_score_do_not_matter() -> None:
    scores, truth = gaussians(1000, 1.0, seed=6)
    weights = np.random.default_rng(7).normal(1, 0.4, 1000)
    order = np.random.default_rng(8).permutation(1000)
    first = roc_curve(scores, truth, weights)
    for other in (roc_curve(scores[order], truth[order], weights[order]), roc_curve(np.arctan(scores), truth, weights)):
        np.testing.assert_allclose(other.signal_efficiencies, first.signal_efficiencies, atol=1e-12)
        assert other.auc == pytest.approx(first.auc, abs=1e-12)


def test_equal_scores_make_one_point_and_count_half() -> None:
    curve = roc_curve([0.5, 0.5, 0.5, 0.9], [True, False, False, True])
    np.testing.assert_array_equal(curve.thresholds, [np.inf, 0.9, 0.5])
    assert curve.auc == 0.75
    assert measure_roc("constant", np.zeros(50), np.arange(50) % 2 == 0).auc == 0.5


def test_auc_of_replicates_is_that_of_the_weighted_rows() -> None:
    """The fast replicate of the bootstrap equals the plain curve with the same weights, including ties."""
    from collidekit.evaluation.classification.bootstrap import bootstrap, poisson_weights
    from collidekit.evaluation.rows import binary_rows

    scores, truth = gaussians(600, 1.0, seed=9)
    rows = binary_rows(np.round(scores, 1), truth, np.random.default_rng(1).normal(1, 0.3, 600))
    drawn = bootstrap(rows, (0.3, 0.7), replicates=3, seed=11)
    for index, counts in enumerate(poisson_weights(600, 3, 11)):
        curve = roc_curve(rows.scores, truth, rows.weights * counts)
        assert drawn.auc[index] == pytest.approx(curve.auc, abs=1e-12)
        assert drawn.background_efficiency[index, 1] == pytest.approx(curve.background_efficiency(0.7), abs=1e-12)


def test_poisson_weights_have_mean_and_variance_one() -> None:
    from collidekit.evaluation.classification.bootstrap import poisson_weights

    drawn = np.stack(list(poisson_weights(100_000, 4, 0))).astype(float)
    assert drawn.mean() == pytest.approx(1, abs=0.01)
    assert drawn.var() == pytest.approx(1, abs=0.02)


def test_no_surviving_background_is_a_limit_and_never_infinite(tmp_path) -> None:
    scores = np.append(np.linspace(2, 3, 100), np.linspace(0, 1, 300))
    result = measure_roc("perfect", scores, np.arange(400) < 100)
    rejection = result.rejections[0]
    assert rejection.limit
    assert rejection.surviving == 0
    assert rejection.value == pytest.approx(300 / 2.996)
    assert str(rejection) == "> 100"
    text = write_rocs(tmp_path / "roc.json", [result]).read_text()
    assert "Infinity" not in text
    assert "NaN" not in text
    assert json.loads(text)["results"][0]["rejections"][0]["limit"] is True
    assert [path.name for path in tmp_path.iterdir()] == ["roc.json"]


def test_discriminators_are_judged_on_their_classes_only(flavour, tmp_path) -> None:
    result = measure_discriminator(flavour, "BvsL", replicates=20)
    rows = np.isin(flavour.labels, [0, 2])
    assert result.signal_rows + result.background_rows == rows.sum()
    assert 0.8 < result.auc < 1
    table = np.genfromtxt(result.write_csv(tmp_path / "roc.csv"), delimiter=",", names=True)
    assert table["background_efficiency"][-1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("scores", "truth", "weights", "message"),
    [
        ([0.1, 0.2], [False, False], None, "no signal rows"),
        ([0.1, 0.2], [True, True], None, "no background rows"),
        ([0.1, np.nan, 0.3], [True, False, True], None, "1 of 3 scores are NaN or infinite, the first in row 1"),
        ([0.1, 0.2], [True, False], [0, 0], "weights of the signal rows is 0"),
        ([0.1, 0.2], [True, False], [1, -1], "weights of the background rows is -1"),
        ([0.1, 0.2], [True, False], [1, np.inf], "weights are NaN or infinite"),
        ([0.1, 0.2, 0.3], [True, False], None, "the same length"),
        ([], [], None, "no signal rows among 0"),
    ],
)
def test_bad_rows_are_one_clear_line(scores, truth, weights, message) -> None:
    with pytest.raises(CollidekitError, match=message) as caught:
        measure_roc("bad", scores, truth, weights)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tagger", PUBLISHED)
def test_published_scores_give_the_published_numbers(published_scores, tagger) -> None:
    truth = np.load(published_scores / "labels.npy") == 1
    curve = roc_curve(np.load(published_scores / f"{tagger}.npy"), truth)
    auc, rejection = PUBLISHED[tagger]
    assert curve.auc == pytest.approx(auc, abs=1e-5)
    assert curve.rejection(0.3).value == pytest.approx(rejection, abs=0.6)
