"""Folds: k parts of the rows, one of which is for test."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from makers import make_dataset

from collidekit.dataset.hashing import hash_columns
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.parts import FoldRule, Folds, Split, fold_of
from collidekit.errors import CollidekitError
from collidekit.training.config import TrainingConfig
from collidekit.training.prepare import held_out_rows, prepare

TEXT = """
event: [event]
classes: {light: label == 0, b: label == 1}
inputs: {ev: {features: [x]}}
"""
PARTS = ("training", "validation", "test")
KEYS = hash_columns([np.arange(20_000)])
"""Of 20,000 events."""


def numbers(folder: Path, rows: int = 3000, jets: int = 3) -> Dataset:
    """``jets`` rows of each event, far from each other in the file."""
    generator = np.random.default_rng(1)
    columns = {
        "label": np.arange(rows) % 2,
        "x": generator.normal(size=rows),
        "event": np.arange(rows) % (rows // jets),
    }
    return make_dataset(folder, TEXT, columns)


@pytest.mark.parametrize("k", [3, 5, 8, 100])
def test_each_row_is_for_test_in_exactly_one_fold(k: int) -> None:
    tested = np.stack([Folds(k, this).rows(KEYS, "test") for this in range(k)])
    validated = np.stack([Folds(k, this).rows(KEYS, "validation") for this in range(k)])
    trained = np.stack([Folds(k, this).rows(KEYS, "training") for this in range(k)])
    assert (tested.sum(axis=0) == 1).all()
    assert (validated.sum(axis=0) == 1).all()
    assert (trained.sum(axis=0) == k - 2).all()
    assert not (tested & validated).any()
    assert not (trained & (tested | validated)).any()
    np.testing.assert_array_equal(validated, np.roll(tested, -1, axis=0))  # the next part validates
    np.testing.assert_array_equal(np.argmax(tested, axis=0), fold_of(KEYS, k))
    error = np.sqrt(len(KEYS) / k * (1 - 1 / k))
    assert np.abs(tested.sum(axis=1) - len(KEYS) / k).max() < 4.5 * error


@given(key=st.integers(-(2**63), 2**63 - 1), k=st.integers(3, 100))
def test_the_fold_is_a_function_of_the_key_alone(key: int, k: int) -> None:
    """Whatever the other rows, and for negative keys too."""
    alone = fold_of(np.asarray([key]), k)
    assert 0 <= alone[0] < k
    assert fold_of(np.asarray([1, key, -5]), k)[1] == alone[0]


def test_folds_are_independent_of_the_split_into_training_and_validation() -> None:
    validation = Split(0.85).rows(KEYS, "validation")
    for part in range(5):
        inside = validation[fold_of(KEYS, 5) == part]
        assert abs(inside.mean() - 0.15) < 4 * np.sqrt(0.15 * 0.85 / len(inside))


@pytest.mark.parametrize("rule", ["hash", "remainder"])
def test_of_two_folds_one_is_for_test_and_the_other_for_training_and_validation(rule: FoldRule) -> None:
    event = {"run": np.ones(len(KEYS), dtype=np.int64), "event": np.arange(len(KEYS))}
    parts = {this: {part: Folds(2, this, rule, 0.8).rows(KEYS, part, event) for part in PARTS} for this in (0, 1)}
    for this, masks in parts.items():
        assert (np.sum(list(masks.values()), axis=0) == 1).all()
        np.testing.assert_array_equal(masks["test"], ~parts[1 - this]["test"])
        inside = masks["validation"][~masks["test"]]
        assert abs(inside.mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / len(inside)), "the share does not depend on the fold"
        assert abs(masks["training"].mean() - Folds(2, this, rule, 0.8).share) < 0.01
    if rule == "remainder":
        assert parts[0]["test"].tolist() == (event["event"] % 2 == 0).tolist()


@pytest.mark.parametrize(
    "numbers", [np.arange(30), np.arange(30.0), np.arange(30) + np.uint64(2**63), np.arange(30) - 15], ids=str
)
def test_the_remainder_of_the_event_number_is_the_fold(numbers: np.ndarray) -> None:
    """Of the last column that numbers an event, whatever its type."""
    event = {"run": np.full(30, 7), "event": numbers}
    found = Folds(3, 0, "remainder").folds_of(KEYS[:30], event)
    assert found.tolist() == [int(number) % 3 for number in numbers]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "names no event number"),
        ({"x": np.asarray([1, 1.5])}, "x is 1.5 in a row"),
        ({"x": np.asarray([np.nan])}, "x is nan"),
    ],
)
def test_a_remainder_needs_event_numbers(event: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        Folds(2, 0, "remainder").rows(KEYS[:2], "test", event)


def test_two_folds_by_the_remainder_from_the_loader(tmp_path: Path) -> None:
    dataset = numbers(tmp_path, rows=3003)  # the parity of an event is not its class
    ready = prepare(dataset, TrainingConfig(folds=2, fold=1, fold_rule="remainder", train_val_split=0.7))
    assert {int(e) % 2 for batch in ready.training for e in batch.event["event"]} == {0}
    assert {int(e) % 2 for batch in ready.validation for e in batch.event["event"]} == {0}
    assert {int(e) % 2 for batch in held_out_rows(dataset, Folds(2, 1, "remainder")) for e in batch.event["event"]} == {
        1
    }
    assert 0.25 < ready.validation_rows / (ready.rows + ready.validation_rows) < 0.35


def test_the_folds_never_change() -> None:
    """A fold that moved would show a network rows that it has learned from: these were written down once."""
    assert fold_of(hash_columns([np.arange(16)]), 5).tolist() == [1, 0, 3, 0, 4, 0, 2, 4, 0, 1, 3, 1, 2, 1, 1, 2]


def test_rows_of_one_event_stay_together(tmp_path: Path) -> None:
    dataset = numbers(tmp_path)
    parts: dict[int, set[tuple[bool, ...]]] = {}
    for batch in Loader(dataset, 500):
        masks = [Folds(4, this).rows(batch.keys.numpy(), "test") for this in range(4)]
        for event, *found in zip(batch.event["event"].tolist(), *masks, strict=True):
            parts.setdefault(event, set()).add(tuple(map(bool, found)))
    assert len(parts) == 1000
    assert all(len(found) == 1 for found in parts.values())


def test_the_loader_gives_each_part_of_a_fold(tmp_path: Path) -> None:
    dataset = numbers(tmp_path)
    loaders = {part: Loader(dataset, 200, Folds(5, 2), part) for part in ("training", "validation", "test")}
    rows = {part: {int(i) for batch in loader for i in batch.index} for part, loader in loaders.items()}
    assert sum(map(len, rows.values())) == 3000
    assert set.union(*rows.values()) == set(range(3000))
    fold = fold_of(dataset.column("key"), 5)
    assert rows["test"] == set(np.flatnonzero(fold == 2))
    assert rows["validation"] == set(np.flatnonzero(fold == 3))


def test_a_training_prepares_the_rows_of_its_fold(tmp_path: Path) -> None:
    dataset = numbers(tmp_path)
    ready = prepare(dataset, TrainingConfig(folds=5, fold=4))
    fold = fold_of(dataset.column("key"), 5)
    assert ready.rows == np.isin(fold, [1, 2, 3]).sum()
    assert ready.validation_rows == (fold == 0).sum()
    assert {int(i) for batch in ready.validation for i in batch.index} == set(np.flatnonzero(fold == 0))


def test_an_empty_part_is_an_error(tmp_path: Path) -> None:
    dataset = numbers(tmp_path, rows=12, jets=3)  # 4 events
    with pytest.raises(CollidekitError, match=r"with folds 30 none of the 12 rows is in the \w+ part; .*fewer folds"):
        prepare(dataset, TrainingConfig(folds=30, fold=0))


@pytest.mark.parametrize(("k", "this"), [(1, 0), (101, 0), (5, 5), (5, -1)])
def test_folds_that_cannot_be(k: int, this: int) -> None:
    with pytest.raises(CollidekitError, match=r"--folds?: -?\d+ is not a number from"):
        Folds(k, this)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": 1}, "give at least 2, or 0 for no folds"),
        ({"folds": 5, "fold": 5}, "must be from 0 to 4 with --folds 5"),
        ({"fold": 1}, "say of how many with --folds"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**settings)  # type: ignore[arg-type]
    with pytest.raises(
        CollidekitError, match="--folds 5: a training learns one fold: name it with --fold, from 0 to 4"
    ):
        _ = TrainingConfig(folds=5).split


def test_the_identity_knows_folds_only_where_there_are_some() -> None:
    """Trainings without folds keep their folders."""
    assert not {"folds", "fold", "fold_rule"} & TrainingConfig().identity.keys()
    found = TrainingConfig(folds=5, fold=1).identity
    assert (found["folds"], found["fold"]) == (5, 1)
    assert "train_val_split" not in found
    assert TrainingConfig(folds=2, fold=1).identity["train_val_split"] == 0.85, "a share of the other half"
