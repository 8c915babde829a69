"""Several samples of a phase, and ensembles."""

import numpy as np
import pytest
from scoring_toys import binary_plan, gaussian_scores, metric, score_one, truth_of

from collidekit.benchmark.scoring.ensemble import kept_runs
from collidekit.benchmark.scoring.failures import UnfitPredictions
from collidekit.benchmark.scoring.plan import MetricPlan, ScoringPlan
from collidekit.benchmark.scoring.result import Scores
from collidekit.benchmark.scoring.score import score_plan
from collidekit.errors import CollidekitError

ROWS = 4000
SAMPLES = ("nominal", "up", "down")


def shifted() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Predictions (1, N, 1) of the same rows in three samples; ``up`` is the worst."""
    p, labels = gaussian_scores(ROWS, 1.5, 1)
    noise = np.random.default_rng(2).normal(size=ROWS)
    logit = np.log(p / (1 - p))
    found = {"nominal": logit, "up": logit + 0.5 * noise, "down": logit + 0.2 * noise}
    return {name: (1 / (1 + np.exp(-x)))[None, :, None] for name, x in found.items()}, labels


def several(*metrics: MetricPlan, labels: np.ndarray, predictions: dict[str, np.ndarray]) -> Scores:
    plan: ScoringPlan = binary_plan(*metrics, samples=SAMPLES)
    return score_plan(plan, predictions, {name: truth_of(labels) for name in SAMPLES})


def test_nominal_worst_mean_drop() -> None:
    predictions, labels = shifted()
    metrics = [metric("auc", how, across=how) for how in ("nominal", "worst", "mean", "drop")]
    scores = several(*metrics, metric("auc", "down", sample="down"), metric("log_loss", "loss", across="worst"), labels=labels, predictions=predictions)  # fmt: skip
    values = {name: entries["nominal"].value for name, entries in scores.samples.items()}
    assert scores.metrics["nominal"].value == values["nominal"]
    assert scores.metrics["worst"].value == values["up"] == min(values.values())
    assert scores.metrics["down"].value == values["down"]
    assert scores.metrics["mean"].value == pytest.approx(np.mean(list(values.values())))
    assert scores.metrics["drop"].value == pytest.approx(values["nominal"] - values["up"])
    losses = {name: entries["loss"].value for name, entries in scores.samples.items()}
    assert scores.metrics["loss"].value == max(losses.values())
    assert scores.rows == 3 * ROWS


def test_a_drop_is_paired_where_the_rows_are_the_same() -> None:
    predictions, labels = shifted()
    scores = several(
        metric("auc", "drop", across="drop"),
        metric("auc", "worst", across="worst"),
        labels=labels,
        predictions=predictions,
    )
    unpaired = np.hypot(scores.samples["nominal"]["drop"].error, scores.samples["up"]["drop"].error)
    assert scores.metrics["drop"].error < 0.6 * unpaired
    assert scores.metrics["drop"].value > 5 * scores.metrics["drop"].error


def test_no_sample_is_worse_than_nominal() -> None:
    predictions, labels = shifted()
    best = {**predictions, "nominal": predictions["up"], "up": predictions["nominal"]}
    drop = several(metric("auc", "drop", across="drop"), labels=labels, predictions=best).metrics["drop"]
    assert (drop.value, drop.error) == (0, 0)


def test_all_samples_are_needed_with_the_same_runs() -> None:
    predictions, labels = shifted()
    with pytest.raises(UnfitPredictions, match="predictions for the sample down are missing"):
        several(metric("auc"), labels=labels, predictions={name: predictions[name] for name in ("nominal", "up")})
    with pytest.raises(UnfitPredictions, match="different numbers of runs: 1, 2"):
        several(metric("auc"), labels=labels, predictions={**predictions, "up": np.tile(predictions["up"], (2, 1, 1))})


def ensemble(runs: int = 5) -> tuple[np.ndarray, np.ndarray]:
    p, labels = gaussian_scores(ROWS, 1.5, 1)
    noise = np.random.default_rng(3).normal(size=(runs, ROWS)) * np.linspace(0.1, 1, runs)[:, None]
    return np.clip(p + 0.1 * noise, 0, 1)[:, :, None], labels


@pytest.mark.parametrize("rule", ["median", "mean"])
def test_each_run_is_scored_and_then_combined(rule: str) -> None:
    runs, labels = ensemble()
    metrics = (metric("auc"), metric("accuracy"), metric("brier"))
    scores = score_one(binary_plan(*metrics, rule=rule), runs, truth_of(labels))
    alone = [score_one(binary_plan(*metrics), run, truth_of(labels)) for run in runs]
    for name in ("auc", "accuracy", "brier"):
        values = [one.metrics[name].value for one in alone]
        assert scores.per_run[name] == pytest.approx(values)
        assert scores.metrics[name].value == pytest.approx(np.median(values) if rule == "median" else np.mean(values))
        assert scores.metrics[name].spread == pytest.approx(np.std(values))
        drawn = [one.replicates[name] for one in alone]
        combined = np.median(drawn, axis=0) if rule == "median" else np.mean(drawn, axis=0)
        assert scores.metrics[name].error == pytest.approx(np.std(combined, ddof=1), rel=1e-5)
    assert scores.runs == 5


def test_the_leading_metric_decides_which_runs_are_outliers() -> None:
    runs, labels = ensemble(9)
    runs[4] = 0.5
    scores = score_one(
        binary_plan(metric("accuracy"), metric("auc"), order=("auc",), outliers="rob"), runs, truth_of(labels)
    )
    assert 4 in scores.runs_left_out
    assert score_one(binary_plan(metric("auc")), runs, truth_of(labels)).runs_left_out == ()


def test_equal_runs_are_no_outliers() -> None:
    """The demo leaves out all runs where rounding moves the mean of equal values."""
    assert kept_runs(np.full(7, 0.1), "rob").tolist() == list(range(7))
    assert kept_runs(np.array([0.1]), "rob").tolist() == [0]
    assert kept_runs(np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0]), "rob").tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_outlier_rule_leaves_out_none_of_few_runs(number: int) -> None:
    runs, labels = ensemble(number)
    scores = score_one(binary_plan(metric("auc"), outliers="rob"), runs, truth_of(labels))
    assert (scores.runs, scores.runs_left_out) == (number, ())
    said = f"the outlier rule needs at least 5 runs; with {number} nothing is left out"
    assert scores.notes == ((said,) if number > 1 else ())
    assert score_one(binary_plan(metric("auc")), runs, truth_of(labels)).notes == ()
    assert kept_runs(np.array([1.0, 1.1, 0.9, 1.0, 9.0]), "rob").tolist() == [0, 1, 2, 3]


def test_the_median_of_runs_of_which_one_is_a_limit() -> None:
    p, labels = gaussian_scores(ROWS, 1.5, 1)
    perfect = 0.1 + 0.8 * labels
    r30 = metric("background_rejection", "r30", signal_efficiency=0.3)
    runs = np.array([p, p, perfect])[:, :, None]
    found = score_one(binary_plan(r30), runs, truth_of(labels)).metrics["r30"]
    assert not found.limit, "however large the limit is, the median is the second run"
    assert score_one(binary_plan(r30, rule="mean"), runs, truth_of(labels)).metrics["r30"].limit
    assert score_one(binary_plan(r30), runs[1:], truth_of(labels)).metrics["r30"].limit


def test_scores_survive_json() -> None:
    import json

    runs, labels = ensemble()
    scores = score_one(
        binary_plan(metric("auc"), metric("background_rejection", "r30", signal_efficiency=0.3)), runs, truth_of(labels)
    )
    assert Scores.from_dict(json.loads(json.dumps(scores.as_dict(), allow_nan=False))) == scores
    for bad, message in (
        ({"metrics": {"auc": {"value": float("nan")}}}, "the value of a score is nan"),
        ({"metrics": {"auc": {"value": "0.9"}}}, "not a finite number"),
        ({"metrics": {"auc": {}}}, "a score has no value"),
        ({}, "no scores of a benchmark"),
        ({"metrics": [1]}, "no scores of a benchmark"),
    ):
        with pytest.raises(CollidekitError, match=message):
            Scores.from_dict(bad)
