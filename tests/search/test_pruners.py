"""Successive halving and Hyperband: which trials are stopped, at which epoch, worked out once more."""

import binascii
import inspect
import math
from pathlib import Path
from typing import Any

import pytest

optuna = pytest.importorskip("optuna")

from studies import loss, plan

from collidekit.errors import CollidekitError
from collidekit.search.measured import Measured
from collidekit.search.sampler import build_pruner
from collidekit.search.study import open_study
from collidekit.search.trials import TrialRecord, records
from collidekit.search.work import work

EPOCHS = 9
RUNGS = (1, 3)
"""Epochs at which trials are compared; the last epoch is none of them."""


def search(folder: Path, text: str, **more: Any) -> list[TrialRecord]:
    settings = plan(folder, text, **{"warmup": 0, "epochs": EPOCHS, **more})
    study = open_study(settings)
    work(study, settings, train)
    return records(study, settings.space)


def train(settings: dict[str, Any], seed: int, report: Any) -> Measured:
    """A training of nine epochs, the last one the best."""
    rows: list[dict[str, float]] = []
    for epoch in range(1, EPOCHS + 1):
        rows.append({"epoch": epoch, "val_loss": loss({"learning_rate": 0.1, **settings}, seed) + EPOCHS - epoch})
        report(rows)
    return Measured(seed, Path("folder"), "0123456789", EPOCHS, dict(rows[-1]), 7, "10 rows")


def grid(*sizes: int) -> dict[str, Any]:
    """Trials with these batch sizes, whose loss grows with the distance from 4."""
    return {"text": f"batch_size: {list(sizes)}\n", "sampler": "grid", "trials": len(sizes)}


def goes_on(value: float, earlier: list[float]) -> bool:
    """The rule: it is in the best third of those that were compared so far, or the best of the first two."""
    competing = sorted([*earlier, value])
    return value <= competing[max(len(competing) // 3 - 1, 0)]


def expected_epochs(found: list[TrialRecord], rungs: tuple[int, ...]) -> list[int]:
    """The epochs of each trial by the rule, in the order of the trials."""
    compared: dict[int, list[float]] = {epoch: [] for epoch in rungs}
    epochs = []
    for trial in found:
        last = EPOCHS
        for epoch in rungs:
            value = trial.intermediate[epoch]
            stays = goes_on(value, compared[epoch])
            compared[epoch].append(value)
            if not stays:
                last = epoch
                break
        epochs.append(last)
    return epochs


def test_a_worse_trial_stops_after_its_first_epoch(tmp_path: Path) -> None:
    found = search(tmp_path, pruner="halving", **grid(4, 5, 6, 7, 8, 9, 10, 11, 12))
    assert [trial.state for trial in found] == ["complete"] + ["pruned"] * 8
    assert [max(trial.intermediate) for trial in found] == [EPOCHS] + [1] * 8


def test_no_trial_that_is_better_than_all_before_is_stopped(tmp_path: Path) -> None:
    found = search(tmp_path, pruner="halving", **grid(12, 11, 10, 9, 8, 7, 6, 5, 4))
    assert [trial.state for trial in found] == ["complete"] * 9


def test_halving_follows_its_rule(tmp_path: Path) -> None:
    text = "learning_rate: {low: 0.001, high: 1, log: true}\nbatch_size: {low: 1, high: 9}\n"
    found = search(tmp_path, text, pruner="halving", trials=40)
    epochs = [max(trial.intermediate) for trial in found]
    assert epochs == expected_epochs(found, RUNGS)
    assert [epochs.count(epoch) > 1 for epoch in (1, 3, EPOCHS)] == [True, True, True]
    assert all((trial.state == "complete") == (epoch == EPOCHS) for trial, epoch in zip(found, epochs, strict=True))
    best = min(found, key=lambda trial: trial.intermediate[1])
    assert best.state == "complete"


def test_hyperband_follows_its_rule_in_each_bracket(tmp_path: Path) -> None:
    text = "learning_rate: {low: 0.001, high: 1, log: true}\nbatch_size: {low: 1, high: 9}\n"
    found = search(tmp_path, text, pruner="hyperband", trials=40)
    budgets = [math.ceil(3 * 3**s / (s + 1)) for s in (2, 1, 0)]  # brackets that begin at epochs 1, 3 and 9
    brackets: list[list[TrialRecord]] = [[], [], []]
    for trial in found:
        number = binascii.crc32(f"parabola_{trial.number}".encode()) % sum(budgets)
        brackets[next(i for i in range(3) if number < sum(budgets[: i + 1]))].append(trial)
    assert all(brackets)
    for bracket, rungs in zip(brackets, (RUNGS, RUNGS[1:], ()), strict=True):
        assert [max(trial.intermediate) for trial in bracket] == expected_epochs(bracket, rungs)
    assert {trial.state for trial in brackets[0]} == {"complete", "pruned"}


def test_nothing_is_stopped_before_the_warm_up(tmp_path: Path) -> None:
    found = search(tmp_path, pruner="halving", **{**grid(4, 5, 6, 7), "warmup": 2})
    assert [max(trial.intermediate) for trial in found] == [EPOCHS, 2, 2, 2]


def test_every_option_of_the_pruners_is_written_out() -> None:
    """A new option of optuna, or another default, must not change a search unseen."""
    known = {
        "median": {"n_startup_trials", "n_warmup_steps", "interval_steps", "n_min_trials"},
        "halving": {"min_resource", "reduction_factor", "min_early_stopping_rate", "bootstrap_count"},
        "hyperband": {"min_resource", "max_resource", "reduction_factor", "bootstrap_count"},
    }
    for name, options in known.items():
        pruner = build_pruner(name, 0, 9)
        assert set(inspect.signature(type(pruner).__init__).parameters) - {"self"} == options
    assert isinstance(build_pruner("hyperband", -1, 9), optuna.pruners.NopPruner)


def test_another_pruner_in_the_same_study_is_an_error(tmp_path: Path) -> None:
    search(tmp_path, pruner="halving", **grid(4, 5))
    with pytest.raises(CollidekitError, match="pruning was"):
        search(tmp_path, pruner="hyperband", **grid(4, 5))
