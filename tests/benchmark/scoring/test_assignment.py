"""Efficiency of assignments against the evaluation's own, with exchangeable parents and slots that are alike."""

from types import SimpleNamespace

import numpy as np
import pytest
from scoring_toys import metric, score_one

from collidekit.analysis.targets import Assignment
from collidekit.benchmark.scoring.failures import ScoringError, UnfitPredictions
from collidekit.benchmark.scoring.plan import ScoringPlan
from collidekit.benchmark.scoring.truth import Truth, make_truth
from collidekit.evaluation.assignment import right_rows
from collidekit.evaluation.binomial import efficiency

SLOTS = ("t1_b", "t1_q1", "t1_q2", "t2_b", "t2_q1", "t2_q2")
SAME = {
    "alike": [["t1_q1", "t1_q2"], ["t2_q1", "t2_q2"]],
    "exchange": [[["t1_b", "t1_q1", "t1_q2"], ["t2_b", "t2_q1", "t2_q2"]]],
}


def events(rows: int = 3000, seed: int = 1) -> tuple[np.ndarray, Truth]:
    """Predicted positions (N, 6), mostly right up to exchanges, and a truth in which some objects are not in the event."""
    generator = np.random.default_rng(seed)
    true = np.array([generator.permutation(8)[:6] for _ in range(rows)])
    found = true.copy()
    wrong = generator.random(rows) < 0.4
    found[wrong] = np.array([generator.permutation(found[row]) for row in np.flatnonzero(wrong)])
    swapped = generator.random(rows) < 0.5
    found[swapped] = found[swapped][:, [3, 4, 5, 0, 1, 2]]
    turned = generator.random(rows) < 0.5
    found[turned] = found[turned][:, [0, 2, 1, 3, 4, 5]]
    true[generator.random((rows, 6)) < 0.05] = -1
    weights = generator.uniform(0.5, 2, rows)
    return found, make_truth(np.arange(rows), {name: true[:, k] for k, name in enumerate(SLOTS)}, weights)


def plan(*metrics: object, columns: tuple[str, ...] = SLOTS) -> ScoringPlan:
    return ScoringPlan(task="assignment", columns=columns, metrics=metrics, replicates=50)  # type: ignore[arg-type]


def test_all_slots_right_as_the_evaluation_finds_it() -> None:
    found, truth = events()
    slots = {"b": "slot_b", "q1": "slot_q1", "q2": "slot_q2"}
    target = Assignment(
        collection="jets",
        parents={"t1": slots, "t2": slots},
        symmetries=[["t1", "t2"], ["t1.q1", "t1.q2"], ["t2.q1", "t2.q2"]],
    )
    like = SimpleNamespace(
        positions={name: found[:, k] for k, name in enumerate(SLOTS)},
        true_positions={name: truth.columns[name].copy() for name in SLOTS},
    )
    rows = right_rows(like, target)  # type: ignore[arg-type]
    scores = score_one(
        plan(
            metric("assignment_efficiency", "complete", **SAME),
            metric("assignment_efficiency", "every", events="all", **SAME),
        ),
        found,
        truth,
    ).metrics
    complete, event = rows.complete["whole event"], rows.right["whole event"]
    assert scores["complete"].value == pytest.approx(
        efficiency(event[complete], truth.weights[complete]).value, abs=1e-12
    )
    assert scores["complete"].error == pytest.approx(
        efficiency(event[complete], truth.weights[complete]).error, abs=1e-12
    )
    assert scores["every"].value == pytest.approx(efficiency(event, truth.weights).value, abs=1e-12)
    assert 0.5 < scores["complete"].value < 0.7


def test_symmetries_matter() -> None:
    found, truth = events()
    scores = score_one(
        plan(metric("assignment_efficiency", "with", **SAME), metric("assignment_efficiency", "without")), found, truth
    ).metrics
    assert scores["without"].value < 0.6 * scores["with"].value


def test_a_slot() -> None:
    found = np.array([[0, 1], [1, 0], [2, 5], [3, 4]])
    truth = make_truth(np.arange(4), {"a": np.array([0, 0, 2, -1]), "b": np.array([1, 1, 3, 4])})
    columns = ("a", "b")
    scores = score_one(
        plan(
            metric("slot_efficiency", "a", slot="a"), metric("slot_efficiency", "b", slot="b"), metric("assignment_efficiency", "both"),
            metric("assignment_efficiency", "set", alike=[["a", "b"]]),
            columns=columns,
        ),
        found,
        truth,
    ).metrics  # fmt: skip
    assert scores["a"].value == pytest.approx(2 / 3), "the event without the object does not count"
    assert scores["b"].value == pytest.approx(2 / 4)
    assert scores["both"].value == pytest.approx(1 / 3)
    assert scores["set"].value == pytest.approx(2 / 3)


def test_a_slot_counts_events_whose_other_slots_are_unknown() -> None:
    found = np.array([[0, 1], [1, 0], [2, 5]])
    truth = make_truth(np.arange(3), {"a": np.array([0.0, 0, 2]), "b": np.array([1, np.nan, -2])})
    metrics = (
        metric("slot_efficiency", "alone", slot="a"),
        metric("slot_efficiency", "set", slot="a", alike=[["a", "b"]]),
    )
    scores = score_one(plan(*metrics, columns=("a", "b")), found, truth).metrics
    assert scores["alone"].value == pytest.approx(2 / 3)
    assert scores["set"].value == 1, "b decides what is right, so the events without it do not count"


def test_naming_one_object_twice_is_not_a_set_of_two() -> None:
    found = np.array([[0, 0], [0, 1]])
    truth = make_truth(np.arange(2), {"a": np.array([0, 0]), "b": np.array([1, 1])})
    scores = score_one(plan(metric("assignment_efficiency", "x", alike=[["a", "b"]]), columns=("a", "b")), found, truth)
    assert scores.metrics["x"].value == 0.5


def test_unknown_truth_is_left_out_and_positions_are_whole() -> None:
    found = np.array([[0], [1], [2]])
    truth = make_truth(np.arange(3), {"a": np.array([0.0, np.nan, 2.0])})
    one = plan(metric("assignment_efficiency", "x"), columns=("a",))
    assert score_one(one, found, truth).metrics["x"].value == 1
    with pytest.raises(
        UnfitPredictions, match=r"a must be the position of an object, a whole number; in row 1 it is 0.5"
    ):
        score_one(one, np.array([[0], [0.5], [2]]), truth)
    with pytest.raises(ScoringError, match="the truth is not known for any of 3 events"):
        score_one(one, found, make_truth(np.arange(3), {"a": np.array([np.nan] * 3)}))


def test_a_true_position_that_is_no_whole_number_is_an_error_of_the_benchmark() -> None:
    truth = make_truth(np.arange(3), {"a": np.array([0.0, 1.5, np.nan]), "b": np.array([1.0, 0.0, 1.0])})
    with pytest.raises(ScoringError, match=r"a of the truth must be a position, a whole number; in row 1 it is 1\.5"):
        score_one(plan(metric("assignment_efficiency"), columns=("a", "b")), np.zeros((3, 2)), truth)
