"""Versions of benchmarks, and the rows of their boards."""

from pathlib import Path
from typing import Any

import pytest
from boards import claimed, failure, make_benchmark, participant, registered, submitted, success

from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import Store
from collidekit.benchmark.store.versions import scoring_hash
from collidekit.errors import CollidekitError


def finish(store: Store, auc: float) -> int:
    run = claimed(store)
    assert store.finish(run, "w1", success(auc))
    return run.id


def board(store: Store, number: int | None = None) -> dict[str, tuple[int, float]]:
    """The run and score of each group on the board."""
    rows = store.board_rows("toy", "public", number)
    return {row.run.group: (row.run.id, row.scores.metrics["auc"].value) for row in rows}


def test_a_definition_comes_back_as_it_was(store: Store, tmp_path: Path) -> None:
    benchmark = registered(store, tmp_path / "toy", limits={"memory": "2 GB"}, rules="Be fair.")
    found = store.benchmark("toy")
    assert found.definition == benchmark
    assert (found.number, found.current, found.folder) == (1, True, tmp_path / "toy")
    assert store.version(found.id) == found
    assert store.benchmarks() == [found]


def test_the_same_definition_is_the_same_version(store: Store, tmp_path: Path) -> None:
    benchmark = make_benchmark(tmp_path / "toy")
    number = store.register(benchmark, tmp_path / "toy", "1.0")
    assert store.register(benchmark, tmp_path / "toy", "1.0") == number
    moved = make_benchmark(tmp_path / "moved")
    assert store.register(moved, tmp_path / "moved", "1.0") == number
    assert store.benchmark("toy").folder == tmp_path / "moved"
    assert [event.action for event in store.audit("benchmark toy")] == ["register benchmark", "move benchmark"]


def test_an_earlier_version_may_become_current_again(store: Store, tmp_path: Path) -> None:
    first = store.register(make_benchmark(tmp_path / "toy"), tmp_path / "toy")
    second = store.register(make_benchmark(tmp_path / "toy", title="Other"), tmp_path / "toy")
    assert first != second
    assert store.register(make_benchmark(tmp_path / "toy"), tmp_path / "toy") == first
    assert [(version.number, version.current) for version in store.versions("toy")] == [(2, False), (1, True)]


def test_damaged_files_are_not_registered(store: Store, tmp_path: Path) -> None:
    benchmark = make_benchmark(tmp_path / "toy")
    (tmp_path / "toy" / "truth.parquet").write_bytes(b"other")
    with pytest.raises(CollidekitError, match="was changed or is damaged"):
        store.register(benchmark, tmp_path / "toy")
    assert store.benchmarks() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Better title"},
        {"rules": "Be fair."},
        {"phase": {"submissions_per_day": 3}},
        {"limits": {"memory": "1 GB"}},
        {"metrics": [{"name": "auc", "metric": "auc", "label": "AUC", "precision": 3}]},
    ],
)
def test_texts_and_limits_do_not_empty_the_board(changes: dict[str, Any], store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "toy")
    submitted(store, participant(store), tmp_path)
    finish(store, 0.9)
    registered(store, tmp_path / "toy", **changes)
    assert store.benchmark("toy").number == 2
    assert board(store) == {"mine": (1, 0.9)}
    assert store.run(1).version == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": [{"name": "auc", "metric": "auc", "direction": "lower"}]},
        {"metrics": [{"name": "auc", "metric": "accuracy"}]},
        {"output": {"columns": ["top"], "runs": 5}},
        {"ensemble": {"rule": "mean"}},
        {"classes": ["qcd", "top", "w"]},
    ],
)
def test_what_scores_depend_on_begins_a_new_board(changes: dict[str, Any], store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "toy")
    user = participant(store)
    submitted(store, user, tmp_path)
    finish(store, 0.9)
    registered(store, tmp_path / "toy", **changes)
    assert board(store) == {}
    assert board(store, 1) == {"mine": (1, 0.9)}
    owner = participant(store, "Boss", "owner")
    assert store.rerun_all("toy", "public", owner) == [2]
    assert store.rerun_all("toy", "public", owner) == []
    again = store.run(2)
    assert (again.rerun_of, again.version, again.user, again.upload) == (1, 2, "Ann", store.run(1).upload)
    finish(store, 0.8)
    assert board(store) == {"mine": (2, 0.8)}
    assert board(store, 1) == {"mine": (1, 0.9)}


def test_other_data_begins_a_new_board_of_its_phase(tmp_path: Path) -> None:
    one, other = make_benchmark(tmp_path / "a"), make_benchmark(tmp_path / "b", license="CC-BY-4.0")
    files = one.model_dump(mode="json")["phases"]["public"]["samples"]["nominal"]
    changed = {"nominal": {**files, "truth": {"path": "truth.parquet", "sha256": "0" * 64}}}
    assert scoring_hash(one, "public") == scoring_hash(other, "public")
    assert scoring_hash(make_benchmark(tmp_path / "a", phase={"samples": changed}), "public") != scoring_hash(
        one, "public"
    )
    phases = {"public": one.model_dump(mode="json")["phases"]["public"], "final": {"samples": changed}}
    more = one.model_validate({**one.model_dump(mode="json"), "phases": phases})
    assert scoring_hash(more, "public") == scoring_hash(one, "public")
    assert scoring_hash(more, "final") != scoring_hash(one, "public")


def test_a_new_scorer_begins_a_new_board(store: Store, tmp_path: Path) -> None:
    benchmark = make_benchmark(tmp_path / "toy")
    store.register(benchmark, tmp_path / "toy", "1.0")
    submitted(store, participant(store), tmp_path)
    finish(store, 0.9)
    store.register(benchmark, tmp_path / "toy", "1.1")
    assert board(store) == {}
    assert board(store, 1) == {"mine": (1, 0.9)}
    assert store.run(1).scorer_version == "1.0"


def test_the_best_run_of_each_group_stands_on_the_board(store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "toy")
    user = participant(store)
    for name, aucs in (("a", [0.7, 0.9, 0.9, 0.8]), ("b", [0.5])):
        for auc in aucs:
            submitted(store, user, tmp_path, name=name)
            finish(store, auc)
    assert board(store) == {"a": (2, 0.9), "b": (5, 0.5)}  # of equal ones the first
    before = store.board_state("toy", "public")
    store.withdraw(2, user)
    assert board(store) == {"a": (3, 0.9), "b": (5, 0.5)}
    assert store.board_state("toy", "public") != before
    store.withdraw(5, user)
    assert board(store) == {"a": (3, 0.9)}
    assert [run.id for run in store.runs("toy")] == [5, 4, 3, 2, 1]
    assert store.run(5).state is State.SUCCESS


def test_lower_is_better_and_ties_are_broken_by_the_next_metric(store: Store, tmp_path: Path) -> None:
    metrics = [
        {"name": "brier", "metric": "brier", "direction": "lower"},
        {"name": "auc", "metric": "auc"},
        {"name": "more", "metric": "accuracy"},
    ]
    registered(store, tmp_path / "toy", metrics=metrics, order=["brier", "auc"])
    submitted(store, participant(store), tmp_path, 4)
    for brier, auc, more in ((0.2, 0.9, 1), (0.1, 0.5, 1), (0.1, 0.7, 0), (0.3, 1.0, 1)):
        run = claimed(store)
        scores = Scores({"brier": Score(brier), "auc": Score(auc), "more": Score(float(more))})
        assert store.finish(run, "w1", type(success())(State.SUCCESS, scores=scores))
    assert [row.run.id for row in store.board_rows("toy", "public")] == [3]


def test_scores_come_back_with_replicates(store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "toy")
    submitted(store, participant(store), tmp_path)
    result = success(1 / 3)
    assert store.finish(claimed(store), "w1", result)
    assert store.board_rows("toy", "public")[0].scores == result.scores


def test_failed_and_canceled_runs_are_not_on_the_board(store: Store, tmp_path: Path) -> None:
    registered(store, tmp_path / "toy")
    user = participant(store)
    submitted(store, user, tmp_path, 3)
    store.finish(claimed(store), "w1", failure())
    store.finish(claimed(store), "w1", failure(Fault.ORGANISER, "the scorer failed"))
    store.request_cancel(3, user)
    assert store.board_rows("toy", "public") == []
    owner = participant(store, "Boss", "owner")
    assert store.rerun_all("toy", "public", owner) == [4]
    assert store.run(4).rerun_of == 2


def test_names_that_do_not_exist(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match="there is no such benchmark; none is registered"):
        store.benchmark("toy")
    registered(store, tmp_path / "toy")
    with pytest.raises(CollidekitError, match="did you mean 'toy'"):
        store.benchmark("toi")
    with pytest.raises(CollidekitError, match="there is no version 7"):
        store.benchmark("toy", 7)
    with pytest.raises(CollidekitError, match=r"there is no phase 'publik'.*did you mean 'public'"):
        store.board_rows("toy", "publik")
