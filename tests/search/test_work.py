"""Trials of a study: reproducible, shared by processes, and none lost or doubled, also where a process is killed."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from studies import loss, plan, quadratic

from collidekit.errors import CollidekitError
from collidekit.search.measured import Measured, SearchError
from collidekit.search.owner import is_lost, this_process
from collidekit.search.study import SearchPlan, open_study
from collidekit.search.trials import TrialRecord, best_trial, records, release_lost
from collidekit.search.work import work

SPAWN = multiprocessing.get_context("spawn")


def search(settings: SearchPlan, folder: Path, train: Any = None) -> list[TrialRecord]:
    study = open_study(settings)
    work(study, settings, train or quadratic(folder))
    return records(study, settings.space)


def outcome(found: list[TrialRecord]) -> list[tuple[str, dict[str, Any], float | None]]:
    return [(trial.state, trial.settings, trial.value) for trial in found]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_seed_gives_the_same_trials_also_where_the_search_was_stopped_between(sampler: str, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    one = search(plan(tmp_path / "a", sampler=sampler, trials=14, warmup=0), tmp_path)
    parts = plan(tmp_path / "b", sampler=sampler, warmup=0)
    for trials in (5, 9, 14):
        other = search(evolve(parts, trials=trials), tmp_path)
        assert len(other) == trials
    assert outcome(one) == outcome(other)
    third = search(plan(tmp_path / "c", sampler=sampler, trials=14, warmup=0, seed=2), tmp_path)
    assert outcome(one) != outcome(third)
    assert len({trial.settings["learning_rate"] for trial in one}) == 14


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [("random", "median"), ("tpe", "median"), ("tpe", "halving"), ("tpe", "hyperband")],
)
def test_an_interrupted_search_draws_the_same_trials(sampler: str, pruner: str, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    more = {"sampler": sampler, "pruner": pruner, "epochs": 3, "warmup": 0, "trials": 24}
    one = search(plan(tmp_path / "a", **more), tmp_path)
    settings = plan(tmp_path / "b", **more)
    left = [7, 11, 14, 3]

    def each(values: dict[str, Any], epoch: int) -> None:
        left[0] -= 1
        if not left[0]:
            left.pop(0)
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            search(settings, tmp_path, quadratic(tmp_path, each))
    study = open_study(settings)  # and a process that ends at once
    trial = study.ask(fixed_distributions=settings.space.distributions())
    trial.set_user_attr("worker", {**this_process(), "began": "1"})
    found = search(settings, tmp_path)
    assert [trial.state for trial in found].count("lost") == 4
    assert outcome(one) == outcome([trial for trial in found if trial.state != "lost"])


def test_tpe_finds_the_minimum_better_than_its_first_draws(tmp_path: Path) -> None:
    found = search(plan(tmp_path, sampler="tpe", trials=40), tmp_path)
    first = min(trial.value or 0.0 for trial in found[:10])
    best = best_trial(found, "minimize")
    assert best is not None
    assert best.value < first  # type: ignore[operator]
    assert best.settings["batch_size"] == 4


def test_the_value_is_the_mean_over_the_seeds(tmp_path: Path) -> None:
    found = search(plan(tmp_path, seeds=(1, 2, 6), trials=2), tmp_path)
    for trial in found:
        values = [loss(trial.settings, seed) for seed in (1, 2, 6)]
        assert trial.value == pytest.approx(sum(values) / 3)
        assert trial.spread == pytest.approx(0.001 * 7**0.5)
        assert [one["seed"] for one in trial.by_seed] == [1, 2, 6]
        assert [one["value"] for one in trial.by_seed] == pytest.approx(values)


def test_a_grid_runs_each_point_once(tmp_path: Path) -> None:
    text = "learning_rate: [0.1, 0.2]\nbatch_size: {low: 1, high: 5, step: 2}\n"
    settings = plan(tmp_path, text, sampler="grid", trials=6)
    found = search(settings, tmp_path)
    assert [tuple(trial.settings.values()) for trial in found] == [
        (rate, size) for rate in (0.1, 0.2) for size in (1, 3, 5)
    ]


def test_trials_that_are_worse_than_the_median_are_pruned(tmp_path: Path) -> None:
    epochs: Counter[str] = Counter()
    found = search(
        plan(tmp_path, trials=20, warmup=2),
        tmp_path,
        quadratic(tmp_path, lambda settings, epoch: epochs.update([str(settings)])),
    )
    pruned = [trial for trial in found if trial.state == "pruned"]
    assert 3 < len(pruned) < 16
    complete: list[TrialRecord] = []
    for trial in found:  # the rule, once more
        others = sorted(other.intermediate[2] for other in complete)
        if len(complete) >= 5:
            middle = (others[(len(others) - 1) // 2] + others[len(others) // 2]) / 2
            assert (trial.state == "pruned") == (min(trial.intermediate[1], trial.intermediate[2]) > middle)
        assert epochs[str(trial.settings)] == (2 if trial.state == "pruned" else 3)
        if trial.state == "complete":
            complete.append(trial)


def test_a_trial_that_fails_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    def each(settings: dict[str, Any], epoch: int) -> None:
        if settings["batch_size"] > 5:
            raise CollidekitError("the loss of epoch 1 is nan")

    found = search(plan(tmp_path, trials=10), tmp_path, quadratic(tmp_path, each))
    assert len(found) == 10
    failed = [trial for trial in found if trial.state == "failed"]
    assert failed
    assert all((trial in failed) == (trial.settings["batch_size"] > 5) for trial in found)
    assert {trial.error for trial in failed} == {"the loss of epoch 1 is nan"}


def test_another_space_in_the_same_study_is_an_error_that_says_what_differs(tmp_path: Path) -> None:
    search(plan(tmp_path), tmp_path)
    with pytest.raises(
        CollidekitError, match=r"learning_rate is \{high: 1.0.*in the study and \{high: 2.0.* in the space file"
    ):
        open_study(plan(tmp_path, "learning_rate: {low: 0.001, high: 2, log: true}\nbatch_size: {low: 1, high: 9}"))
    with pytest.raises(CollidekitError, match="the study varies batch_size, and the space file does not"):
        open_study(plan(tmp_path, "learning_rate: {low: 0.001, high: 1, log: true}"))
    with pytest.raises(CollidekitError, match="training was 0123456789 and is 9876543210"):
        open_study(plan(tmp_path, fixed={"training": "9876543210"}))
    with pytest.raises(CollidekitError, match=r"metric was val_loss and is val_accuracy; direction was"):
        open_study(plan(tmp_path, metric="val_accuracy", direction="maximize"))


def test_a_metric_that_is_not_there_ends_the_search(tmp_path: Path) -> None:
    settings = plan(tmp_path, metric="val_gain", direction="maximize")
    with pytest.raises(SearchError, match=r"--metric val_gain: history\.csv has no such column; .*val_loss"):
        search(settings, tmp_path)


def test_other_validation_rows_end_the_search(tmp_path: Path) -> None:
    train = quadratic(tmp_path)

    def other(settings: dict[str, Any], seed: int, report: Any) -> Measured:
        return evolve(train(settings, seed, report), validation=f"{settings['batch_size']} rows")

    with pytest.raises(SearchError, match="was validated on other rows"):
        search(plan(tmp_path), tmp_path, other)


def test_ctrl_c_puts_the_trial_in_line_again(tmp_path: Path) -> None:
    def each(settings: dict[str, Any], epoch: int) -> None:
        each.calls += 1  # type: ignore[attr-defined]
        if each.calls == 8:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    each.calls = 0  # type: ignore[attr-defined]
    settings = plan(tmp_path, trials=5)
    with pytest.raises(KeyboardInterrupt):
        search(settings, tmp_path, quadratic(tmp_path, each))
    found = search(settings, tmp_path)
    assert [trial.state for trial in found] == ["complete", "complete", "lost", "complete", "complete", "complete"]
    assert found[3].settings == found[2].settings
    assert found[3].retry_of == 2


def _slow(settings: SearchPlan, folder: Path, seconds: float) -> None:
    """One process of a search whose epochs take time; it notes each training that it has finished."""

    def each(values: dict[str, Any], epoch: int) -> None:
        time.sleep(seconds)

    train = quadratic(folder, each)

    def noted(values: dict[str, Any], seed: int, report: Any) -> Measured:
        found = train(values, seed, report)
        with (folder / "trained.txt").open("a") as file:
            file.write(f"{values['learning_rate']!r}\n")
        return found

    work(open_study(settings), settings, noted)


def _start(settings: SearchPlan, folder: Path, seconds: float) -> Any:
    process = SPAWN.Process(target=_slow, args=(settings, folder, seconds))
    process.start()
    return process


def _wait(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_two_processes_share_a_search_and_train_nothing_twice(tmp_path: Path) -> None:
    settings = plan(tmp_path, trials=12, heartbeat=1.0)
    both = [_start(settings, tmp_path, 0.05) for _ in range(2)]
    for process in both:
        process.join(90)
        assert process.exitcode == 0
    study = open_study(settings)
    found = records(study, settings.space)
    assert [trial.state for trial in found] == ["complete"] * 12
    owners = Counter(
        trial.user_attrs["worker"]["process"] for trial in study.get_trials() if "surplus" not in trial.user_attrs
    )
    assert len(owners) == 2
    trained = (tmp_path / "trained.txt").read_text().split()
    assert sorted(trained) == sorted(repr(trial.settings["learning_rate"]) for trial in found)


def test_a_killed_process_loses_and_doubles_no_trial(tmp_path: Path) -> None:
    settings = plan(tmp_path, trials=6, heartbeat=1.0)
    killed = _start(settings, tmp_path, 0.3)
    _wait(lambda: (tmp_path / "trained.txt").exists())
    study = open_study(settings)
    _wait(
        lambda: any(trial.state.name == "RUNNING" and trial.user_attrs.get("heartbeat") for trial in study.get_trials())
    )
    os.kill(killed.pid, signal.SIGKILL)
    killed.join(30)
    finished = [trial.number for trial in study.get_trials() if trial.state.name == "COMPLETE"]
    work(study, settings, quadratic(tmp_path))
    found = records(study, settings.space)
    states = Counter(trial.state for trial in found)
    assert states == {"complete": 6, "lost": 1}
    lost = next(trial for trial in found if trial.state == "lost")
    again = [trial for trial in found if trial.retry_of == lost.number]
    assert len(again) == 1
    assert again[0].settings == lost.settings
    assert {trial.number for trial in found if trial.state == "complete"} >= set(finished)
    assert len({str(trial.settings) for trial in found if trial.state == "complete"}) == 6


def test_a_trial_whose_process_dies_each_time_fails_after_some_retries(tmp_path: Path) -> None:
    settings = plan(tmp_path, trials=1, retries=2)
    study = open_study(settings)
    for _ in range(3):
        trial = study.ask(fixed_distributions=settings.space.distributions())
        trial.set_user_attr("worker", {**this_process(), "began": "1"})
        assert release_lost(study, settings.heartbeat, settings.retries) == [trial.number]
    work(study, settings, quadratic(tmp_path))
    assert [trial.state for trial in records(study, settings.space)] == ["lost", "lost", "failed"]


def test_a_process_elsewhere_is_lost_when_it_misses_two_signs_of_life() -> None:
    elsewhere = {"worker": {**this_process(), "system": "another machine"}}
    now = time.time()
    assert not is_lost({**elsewhere, "heartbeat": {"time": now - 100}}, 60, now - 1000)
    assert is_lost({**elsewhere, "heartbeat": {"time": now - 130}}, 60, now - 1000)
    assert is_lost(elsewhere, 60, now - 130)  # it died before its first one
    assert not is_lost({"worker": this_process()}, 60, now - 1000)
    assert is_lost({"worker": {**this_process(), "began": "1"}}, 60, now)


def test_a_process_that_was_held_for_lost_drops_its_result(tmp_path: Path) -> None:
    settings = plan(tmp_path, trials=2)
    study = open_study(settings)
    said: list[str] = []

    def each(values: dict[str, Any], epoch: int) -> None:
        running = [trial for trial in study.get_trials() if trial.state.name == "RUNNING"]
        if epoch == 2 and running[0].number == 0:
            study._storage.set_trial_user_attr(running[0]._trial_id, "worker", {**this_process(), "began": "1"})
            other = open_study(settings)  # of another process
            assert release_lost(other, settings.heartbeat, 3) == [0]

    work(study, settings, quadratic(tmp_path, each), said.append)
    found = records(study, settings.space)
    assert [trial.state for trial in found] == ["lost", "complete", "complete"]
    assert any("another process has taken it over" in text for text in said)


def test_the_cost_of_each_trial_is_known(tmp_path: Path) -> None:
    def each(settings: dict[str, Any], epoch: int) -> None:
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    for trial in search(plan(tmp_path, trials=2), tmp_path, quadratic(tmp_path, each)):
        assert 0.06 <= trial.cpu_seconds < 5
        assert trial.seconds >= trial.cpu_seconds * 0.5
