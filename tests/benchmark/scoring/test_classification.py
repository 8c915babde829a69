"""Metrics of classification against independent formulas, and at their edges."""

import warnings

import numpy as np
import pytest
from scoring_toys import binary_plan, gaussian_scores, metric, score_one, truth_of
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

from collidekit.analysis.discriminators import Discriminator
from collidekit.benchmark.scoring.failures import ScoringError, UnfitPredictions
from collidekit.benchmark.scoring.plan import ScoringPlan
from collidekit.benchmark.scoring.score import score_plan
from collidekit.benchmark.scoring.ties import odds_places
from collidekit.benchmark.scoring.truth import make_truth
from collidekit.benchmark.states import Fault
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.comparison import paired_difference
from collidekit.evaluation.classification.roc_result import measure_roc

ALL = (
    metric("auc"), metric("background_rejection", "r30", signal_efficiency=0.3), metric("accuracy"), metric("log_loss"),
    metric("brier"), metric("calibration_error"),
)  # fmt: skip


def three_classes(rows: int = 3000, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, rows)
    logits = generator.normal(size=(rows, 3))
    logits[np.arange(rows), labels] += 1.5
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels


def flavour_plan(*metrics: object, **others: object) -> ScoringPlan:
    known = {"task": "classification", "columns": ("b", "c", "light"), "classes": ("b", "c", "light"), "replicates": 50}
    return ScoringPlan(**{**known, **others}, metrics=metrics)  # type: ignore[arg-type]


def test_binary_values_are_those_of_scikit_learn() -> None:
    p, labels = gaussian_scores(4000, 1.5, 3)
    generator = np.random.default_rng(4)
    weights = generator.uniform(0.5, 2, len(p))
    scores = score_one(binary_plan(*ALL), p, truth_of(labels, weights)).metrics
    assert scores["auc"].value == pytest.approx(roc_auc_score(labels, p, sample_weight=weights), abs=1e-12)
    assert scores["accuracy"].value == pytest.approx(accuracy_score(labels, p >= 0.5, sample_weight=weights), abs=1e-12)
    assert scores["log_loss"].value == pytest.approx(log_loss(labels, p, sample_weight=weights), abs=1e-12)
    half = score_one(binary_plan(metric("brier", scale_by_half=True)), p, truth_of(labels, weights)).metrics["brier"]
    assert half.value == pytest.approx(brier_score_loss(labels, p, sample_weight=weights), abs=1e-12)
    assert scores["brier"].value == pytest.approx(2 * half.value, abs=1e-12)
    assert scores["calibration_error"].value < 0.05


def test_rows_without_signal_and_background_come_last_as_in_reports_and_are_counted() -> None:
    p, labels = three_classes()
    p[:40] = [0, 1, 0]
    plan = flavour_plan(metric("auc", "bl", signal="b", background="light"), metric("mean_auc", "ratio", score="ratio"))
    scores = score_one(plan, p, truth_of(labels))
    used = labels != 1
    expected = Discriminator(signal=["b"], background=["light"]).scores(dict(zip(plan.columns, p.T, strict=True)))
    assert scores.metrics["bl"].value == pytest.approx(roc_auc_score(labels[used] == 0, expected[used]), abs=1e-12)
    (note,) = (note for note in scores.notes if "probability 0" in note)
    assert f"{(labels[:40] != 1).sum()} of {used.sum():,} rows of b and light have probability 0 for both" in note
    assert not score_one(plan, three_classes()[0], truth_of(labels)).notes


def test_classes_with_numerals_as_names_need_a_truth_of_names() -> None:
    p, labels = gaussian_scores(400, 1.5, 3)
    plan = flavour_plan(metric("auc"), columns=("1", "0"), classes=("1", "0"))
    both = np.stack([p, 1 - p], axis=1)
    with pytest.raises(ScoringError, match="class with index 0 has the name '1': rename the classes"):
        score_one(plan, both, truth_of(labels))
    named = score_one(plan, both, truth_of(labels.astype(str)))
    assert named.metrics["auc"].value == pytest.approx(roc_auc_score(labels == 0, 1 - p), abs=1e-12), (
        "without settings, the last class is the signal"
    )


def test_several_classes() -> None:
    p, labels = three_classes()
    plan = flavour_plan(
        metric("accuracy"), metric("log_loss"), metric("brier"), metric("mean_auc"), metric("mean_auc", "rest", against="rest"),
        metric("mean_auc", "ratio", score="ratio"),
        metric("auc", "bl", signal="b", background="light"), metric("auc", "b_rest", signal="b"),
        metric("auc", "heavy", signal=["b", "c"], background="light"), metric("calibration_error", "of_c", **{"class": "c"}),
    )  # fmt: skip
    scores = score_one(plan, p, truth_of(labels)).metrics
    assert scores["accuracy"].value == pytest.approx((p.argmax(axis=1) == labels).mean())
    assert scores["log_loss"].value == pytest.approx(log_loss(labels, p))
    assert scores["brier"].value == pytest.approx(((p - np.eye(3)[labels]) ** 2).sum(axis=1).mean())
    rows = labels != 1
    ratio = p[rows, 0] / (p[rows, 0] + p[rows, 2])
    assert scores["bl"].value == pytest.approx(roc_auc_score(labels[rows] == 0, ratio), abs=1e-12)
    assert scores["b_rest"].value == pytest.approx(roc_auc_score(labels == 0, p[:, 0]), abs=1e-12)
    assert scores["heavy"].value == pytest.approx(roc_auc_score(labels != 2, 1 - p[:, 2]), abs=1e-12)
    assert scores["mean_auc"].value == pytest.approx(roc_auc_score(labels, p, multi_class="ovo"), abs=1e-12)
    ratios = p[:, None, :] / np.maximum(p[:, None, :] + p[:, :, None], 1e-300)
    pairs = [
        roc_auc_score(labels[chosen] == a, ratios[chosen, b, a])
        for a, b in ((0, 1), (0, 2), (1, 2))
        if (chosen := (labels == a) | (labels == b)) is not None
    ]
    assert scores["ratio"].value == pytest.approx(np.mean(pairs), abs=1e-12)
    rest = [roc_auc_score(labels == k, p[:, k]) for k in range(3)]
    assert scores["rest"].value == pytest.approx(np.mean(rest), abs=1e-12)


def test_labels_may_be_names() -> None:
    p, labels = three_classes()
    names = np.array(["b", "c", "light"])[labels]
    plan = flavour_plan(metric("accuracy"))
    assert score_one(plan, p, truth_of(names)).metrics == score_one(plan, p, truth_of(labels)).metrics
    with pytest.raises(
        ScoringError,
        match=r"row 5 of the truth has label 'g'; it must be a number from 0 to 2 or a name of the classes",
    ):
        score_one(plan, p, truth_of(np.where(np.arange(3000) == 5, "g", names)))
    with pytest.raises(ScoringError, match="row 7 of the truth has label 4"):
        score_one(plan, p, truth_of(np.where(np.arange(3000) == 7, 4, labels)))


def test_a_constant_score_and_ties_count_half() -> None:
    labels = np.arange(2000) % 2
    plan = binary_plan(*ALL[:2], metric("accuracy"))
    scores = score_one(plan, np.full(2000, 0.5), truth_of(labels)).metrics
    assert scores["auc"].value == 0.5
    assert scores["r30"].value == 1.0, "the only threshold keeps all rows"
    assert not scores["r30"].limit
    tied = np.round(gaussian_scores(2000, 1.0, 1)[0], 1)
    assert score_one(plan, tied, truth_of(labels)).metrics["auc"].value == pytest.approx(roc_auc_score(labels, tied))


def test_what_differs_by_rounding_alone_is_a_tie() -> None:
    """p(light) is constant; the sum of the others depends on its summands in the last digit."""
    labels = np.arange(3000) % 3
    p = np.where((labels == 2)[:, None], [0.06, 0.86, 0.08], [0.01, 0.91, 0.08])
    ratio = p[:, 2] / (p[:, 2] + (p[:, 0] + p[:, 1]))
    assert roc_auc_score(labels == 2, ratio) == 1, "rounding tells the classes apart"
    plan = flavour_plan(
        metric("auc", "light", signal="light"), metric("mean_auc", "rest", against="rest"), metric("mean_auc")
    )
    scores = score_one(plan, p, truth_of(labels)).metrics
    assert scores["light"].value == 0.5
    assert scores["rest"].value == pytest.approx(roc_auc_score(labels, p, multi_class="ovr"), abs=1e-12)
    assert scores["mean_auc"].value == pytest.approx(roc_auc_score(labels, p, multi_class="ovo"), abs=1e-12)


def test_no_difference_of_single_precision_is_lost() -> None:
    """p(top) is 1 in all rows, p(qcd) differs in its last digit, far below the resolution of their sum."""
    tiny = np.float32(1e-20) * (1 + np.arange(2000, dtype=np.float32) * np.float32(2**-22))
    assert len(np.unique(tiny)) == 2000
    p = np.column_stack([tiny, np.ones(2000, np.float32)])
    plan = binary_plan(metric("auc"), columns=("qcd", "top"))
    assert score_one(plan, p, truth_of(np.arange(2000) < 1000)).metrics["auc"].value == 1
    assert odds_places(np.array([0.0, 0, 1, 1, 1]), np.array([0.0, 1, 1, 0, 0])).tolist() == [0, 0, 1, 2, 2]


def test_a_failing_run_is_named() -> None:
    p, labels = three_classes(300)
    runs = np.stack([p, p, p])
    runs[1, 7] = 0
    with pytest.raises(UnfitPredictions, match=r"nominal: the probabilities .* in row 7 of run 1 they add up to 0"):
        score_one(flavour_plan(metric("brier"), runs=3), runs, truth_of(labels))
    runs[1, 7] = -0.5
    for name, message in (("auc", "b must not be negative"), ("brier", "b must be a probability")):
        with pytest.raises(UnfitPredictions, match=f"{message}.* in row 7 of run 1 it is -0.5"):
            score_one(flavour_plan(metric(name), runs=3), runs, truth_of(labels))


def test_rejection_is_a_lower_limit_where_no_background_survives() -> None:
    labels = np.arange(2000) % 2
    found = score_one(binary_plan(*ALL[:2]), labels * 0.8 + 0.1, truth_of(labels))
    assert found.metrics["auc"].value == 1
    limit = found.metrics["r30"]
    assert limit.limit
    assert limit.value == pytest.approx(1000 / 2.996)
    assert limit.error is None
    assert "r30" not in found.replicates


def test_errors_are_those_of_many_samples() -> None:
    """The bootstrap error of one sample is the spread over independent samples."""
    plan = binary_plan(*ALL)
    values: dict[str, list[float]] = {}
    errors: dict[str, list[float]] = {}
    for seed in range(40):
        p, labels = gaussian_scores(3000, 1.5, 100 + seed)
        for name, score in score_one(plan, p, truth_of(labels)).metrics.items():
            values.setdefault(name, []).append(score.value)
            errors.setdefault(name, []).append(score.error or np.nan)
    for name, found in values.items():
        pull = np.std(found, ddof=1) / np.mean(errors[name])
        assert 0.65 < pull < 1.4, (name, pull)


def test_replicates_are_the_same_for_all_submissions_and_depend_on_the_truth() -> None:
    p, labels = gaussian_scores(3000, 1.5, 1)
    better = np.clip(p + 0.02 * (labels - 0.5), 0, 1)
    plan, truth = binary_plan(*ALL), truth_of(labels)
    first, second = score_one(plan, p, truth), score_one(plan, better, truth)
    assert first.truth == second.truth != score_one(plan, p, truth_of(1 - labels)).truth
    for name in ("auc", "accuracy", "brier", "log_loss"):
        a, b = np.array(first.replicates[name]), np.array(second.replicates[name])
        unpaired = np.hypot(first.metrics[name].error, second.metrics[name].error)
        assert np.std(a - b) < 0.35 * unpaired, name
    house = paired_difference(
        measure_roc("a", better, labels, replicates=100, seed=truth.seed),
        measure_roc("b", p, labels, replicates=100, seed=truth.seed),
    )
    ours = np.std(np.subtract(second.replicates["auc"], first.replicates["auc"]), ddof=1)
    assert ours == pytest.approx(house.auc.error, rel=1e-6)
    ours = np.std(np.subtract(second.replicates["r30"], first.replicates["r30"]), ddof=1)
    assert ours == pytest.approx(house.rejections[0].error, rel=1e-6)


def test_fewer_replicates_are_the_first_ones() -> None:
    p, labels = gaussian_scores(500, 1.5, 1)
    many = score_one(binary_plan(*ALL, replicates=60), p, truth_of(labels)).replicates
    few = score_one(binary_plan(*ALL, replicates=20), p, truth_of(labels)).replicates
    assert all(few[name] == many[name][:20] for name in few)


def test_negative_weights_and_few_rows() -> None:
    p, labels = gaussian_scores(3000, 1.5, 1)
    weights = np.where(np.random.default_rng(1).random(3000) < 0.1, -0.5, 1.0)
    scores = score_one(binary_plan(*ALL), p, truth_of(labels, weights)).metrics
    assert all(np.isfinite(score.value) for score in scores.values())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        few = score_one(binary_plan(*ALL), p[:30], truth_of(labels[:30]))
    assert not few.replicates.get("auc")
    assert few.notes == ("15 signal rows are too few to test differences between submissions",)
    assert few.metrics["auc"].error >= 0.04


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_reaches_a_score(bad: float) -> None:
    p, labels = gaussian_scores(100, 1.5, 1)
    p[17] = bad
    with pytest.raises(UnfitPredictions, match=r"nominal: top is (nan|inf|-inf) in row 17 of run 0") as caught:
        score_one(binary_plan(*ALL), p, truth_of(labels))
    assert caught.value.fault is Fault.PARTICIPANT


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (np.full((1, 99, 1), 0.5), r"shape \(1, 99, 1\); it must be \(runs, rows, columns\) with at most 100 runs, 100 rows"),
        (np.full((101, 100, 1), 0.5), "at most 100 runs"),
        (np.full((0, 100, 1), 0.5), "at most 100 runs"),
        (np.full((1, 100, 2), 0.5), "and 1 columns"),
        (np.full((1, 100, 1), "a"), "must be numbers"),
        (np.full((1, 100, 1), 1.5), "top must be a probability between 0 and 1; in row 0 it is 1.5"),
    ],
)  # fmt: skip
def test_unfit_predictions_are_the_fault_of_the_participant(predictions: np.ndarray, message: str) -> None:
    with pytest.raises(UnfitPredictions, match=message) as caught:
        score_one(binary_plan(*ALL), predictions, truth_of(np.arange(100) % 2))
    assert "\n" not in str(caught.value)


def test_values_out_of_the_range_of_the_benchmark() -> None:
    p, labels = gaussian_scores(100, 1.5, 1)
    p[9] = 1.25
    with pytest.raises(UnfitPredictions, match=r"top is 1\.25 in row 9 of run 0, not between 0 and 1"):
        score_one(binary_plan(metric("auc"), minimum=0, maximum=1), p, truth_of(labels))


def test_probabilities_must_add_up_to_one() -> None:
    p, labels = three_classes(100)
    p[3] *= 2
    with pytest.raises(UnfitPredictions, match=r"must add up to 1; in row 3 they add up to 2|must be a probability"):
        score_one(flavour_plan(metric("accuracy")), p, truth_of(labels))


def test_a_benchmark_without_rows_of_a_class_is_the_fault_of_the_organiser() -> None:
    with pytest.raises(CollidekitError, match="no signal rows"):
        score_one(binary_plan(metric("auc")), np.full(10, 0.5), truth_of(np.zeros(10, dtype=int)))
    with pytest.raises(ScoringError, match="the truth of the sample nominal is missing"):
        score_plan(binary_plan(metric("auc")), {"nominal": np.zeros((1, 2, 1))}, {})


@pytest.mark.parametrize(
    ("keys", "columns", "weights", "message"),
    [
        ([0, 1, 1], {"label": [0, 1, 1]}, None, "1 rows have the key of another row"),
        ([0.0, 1.0], {"label": [0, 1]}, None, "integers"),
        ([0, 1], {"label": [0, 1, 1]}, None, "label has 3 rows and the key 2"),
        ([0, 1], {"label": [0, 1]}, [1.0, np.nan], "the weights of 1 rows are NaN or infinite, the first in row 1"),
        ([0, 1], {"label": [0, 1]}, [1.0, -1.0], "the weights sum to 0"),
    ],
)  # fmt: skip
def test_a_bad_truth_is_one_clear_line(
    keys: list[int], columns: dict[str, list[int]], weights: object, message: str
) -> None:
    arrays = {name: np.array(values) for name, values in columns.items()}
    with pytest.raises(CollidekitError, match=message):
        make_truth(np.array(keys), arrays, None if weights is None else np.array(weights))


def test_a_constant_prediction_has_no_error_of_rounding() -> None:
    _, labels = gaussian_scores(400, 1.0, 1)
    truth = truth_of(labels, np.random.default_rng(1).gamma(2, 1, 400))
    found = score_one(binary_plan(metric("auc")), np.full(400, 0.3), truth).metrics["auc"]
    assert (found.value, found.error) == (pytest.approx(0.5, abs=1e-12), 0.0)
