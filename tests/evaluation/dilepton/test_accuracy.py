"""Accuracy, precision, recall, F1 and complementarity, counted by hand."""

import numpy as np
import pytest
from top_pairs import decays, sample

from collidekit.evaluation.dilepton.accuracy import measure_accuracy, purity_in_bins
from collidekit.evaluation.dilepton.complementarity import any_right, measure_overlaps

TRUE = np.array([[0, 1], [1, 0], [2, 5], [0, 1], [0, -1], [-1, -1], [1, 2], [-2, -2]])
A = np.array([[0, 1], [0, 1], [2, 4], [-1, -1], [0, 1], [1, 0], [1, 2], [0, 1]])
"""Events: right, exchanged, one right, no solution, unmatched with one right, unmatched, right, truth unknown."""
B = np.array([[1, 0], [1, 0], [2, 5], [0, 1], [-1, -1], [-1, -1], [2, 1], [0, 1]])
WEIGHTS = np.array([1.0, 2, 1, 1, 1, 1, 3, 100])


def made(weights: np.ndarray = WEIGHTS):
    truth = decays(8)
    return sample(truth, {"A": truth, "B": truth}, positions={"A": A, "B": B}, true_positions=TRUE, weights=weights)


def test_numbers_of_one_method_by_hand() -> None:
    found = measure_accuracy(made(), "A")
    values = {
        "right": found.both["matchable"], "right of all": found.both["all"], "pair": found.either["matchable"],
        "pair of all": found.either["all"], "order": found.order, "answered": found.answered, "precision": found.precision,
        "recall": found.recall, "top": found.slots["top_b"]["matchable"], "antitop": found.slots["antitop_b"]["all"],
    }  # fmt: skip
    by_hand = {
        "right": 4 / 8, "right of all": 4 / 10, "pair": 6 / 8, "pair of all": 6 / 10, "order": 4 / 6, "answered": 9 / 10,
        "precision": 4 / 9, "recall": 4 / 8, "top": 6 / 9, "antitop": 4 / 10,
    }  # fmt: skip
    for name, entry in values.items():
        assert entry is not None
        assert entry.value == pytest.approx(by_hand[name]), name
    assert found.f1 is not None
    assert found.f1.value == pytest.approx(2 * (4 / 9) * (4 / 8) / (4 / 9 + 4 / 8))


def test_the_error_of_f1_is_that_of_a_bootstrap() -> None:
    chance = np.random.default_rng(3)
    rows = chance.integers(0, 7, 3000)
    truth = decays(3000)
    weights = chance.uniform(0.5, 2, 3000)

    def f1(drawn: np.ndarray) -> float:
        content = {"positions": {"A": A[rows[drawn]]}, "true_positions": TRUE[rows[drawn]], "weights": weights[drawn]}
        number = measure_accuracy(sample(truth, {"A": truth}, **content), "A").f1
        assert number is not None
        return number.value

    number = measure_accuracy(
        sample(truth, {"A": truth}, positions={"A": A[rows]}, true_positions=TRUE[rows], weights=weights), "A"
    ).f1
    assert number is not None
    assert number.error == pytest.approx(np.std([f1(chance.integers(0, 3000, 3000)) for _ in range(200)]), rel=0.2)


def test_fractions_of_two_methods_add_up_to_one() -> None:
    both = {(one.first, one.second): one for one in measure_overlaps(made())}
    one = both["A", "B"]
    parts = (one.both.value, one.only_first.value, one.only_second.value, one.neither.value)
    assert parts == pytest.approx((0, 4 / 8, 4 / 8, 0))
    assert one.union.value == pytest.approx(1)
    assert both["A", "A"].union.value == both["A", "A"].both.value == pytest.approx(0.5)
    assert both["B", "A"].only_first.value == one.only_second.value
    united = any_right(made())
    assert united is not None
    assert united.value == pytest.approx(1)


def test_purity_is_of_the_answered_events_of_a_bin() -> None:
    found = purity_in_bins(made(), "A", 0)
    assert found.value == pytest.approx([(1 + 3) / (1 + 1 + 1 + 3), 0 / (2 + 1)])
    assert found.total.tolist() == [4, 2]


def test_nothing_known_gives_no_number() -> None:
    truth = decays(2)
    empty = sample(truth, {"A": truth}, true_positions=np.full((2, 2), -2))
    found = measure_accuracy(empty, "A")
    assert (found.both["all"], found.precision, found.f1) == (None, None, None)
    assert measure_overlaps(empty) == []
    assert any_right(empty) is None
