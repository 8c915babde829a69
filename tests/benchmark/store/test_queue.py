"""Claims, leases, heartbeats and the ends of runs."""

import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest
from boards import claimed, failure, participant, registered, states, submitted, success

from collidekit.benchmark.run_result import RunResult
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import Run, Store


@pytest.fixture
def filled(store: Store, tmp_path: Path) -> Store:
    """A store with three runs that wait."""
    registered(store, tmp_path / "toy")
    submitted(store, participant(store), tmp_path, 3)
    return store


def end_lease(store: Store, run: int) -> None:
    """Let a lease end now, without waiting for it."""
    with store.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET lease_until = 1 WHERE id = {run}")


def test_the_oldest_run_is_claimed_first(filled: Store) -> None:
    runs = [claimed(filled, f"w{i}") for i in range(3)]
    assert [run.id for run in runs] == [1, 2, 3]
    assert {run.state for run in runs} == {State.RUNNING}
    assert filled.claim("w4") is None
    assert [run.folder for run in runs] == [f"runs/000/{i}/attempt_1" for i in (1, 2, 3)]


def test_a_run_ends_once(filled: Store) -> None:
    run = claimed(filled)
    assert not filled.finish(run, "w2", failure())
    assert filled.finish(run, "w1", success(0.8))
    assert filled.finish(run, "w1", success(0.1))  # the answer to the first call may have been lost
    assert not filled.heartbeat(run, "w1")
    found = filled.run(run.id)
    assert (found.state, found.scores) == (
        State.SUCCESS,
        {"auc": {"value": 0.8, "error": 0.01, "spread": None, "limit": False}},
    )
    assert (found.seed, found.code_hash, found.notes) == (3, "c" * 64, ["few rows"])
    assert found.finished_at is not None
    assert [event.action for event in filled.audit("run 1")] == ["submit", "claim", "finish"]


def test_a_worker_that_lost_its_lease_can_never_finish(filled: Store) -> None:
    first = claimed(filled, "slow")
    end_lease(filled, first.id)
    second = claimed(filled, "slow")  # even under the same name
    assert (second.id, second.attempt, second.losses) == (first.id, 2, 1)
    assert not filled.heartbeat(first, "slow")
    assert not filled.finish(first, "slow", success(0.99))
    assert not filled.give_back(first, "slow", "stopped")
    assert filled.finish(second, "slow", success(0.7))
    assert not filled.finish(first, "slow", success(0.99))
    assert filled.run(first.id).scores["auc"]["value"] == 0.7  # type: ignore[index]
    assert [attempt.outcome for attempt in filled.attempts(first.id)] == ["lost", "success"]


def test_a_late_heartbeat_keeps_a_run_that_nobody_has_taken(filled: Store) -> None:
    run = claimed(filled)
    end_lease(filled, run.id)
    assert filled.heartbeat(run, "w1")
    assert filled.expire() == []
    assert filled.finish(run, "w1", success())


def test_a_silent_worker_is_no_secret(filled: Store) -> None:
    run = claimed(filled)
    assert filled.queue_place(run.id).reason == "runs on w1"
    end_lease(filled, run.id)
    assert filled.queue_place(run.id).reason == "worker w1 stopped responding; waits for another worker"


def test_the_third_lost_worker_ends_the_run_with_a_reason(filled: Store) -> None:
    for i in range(3):
        assert claimed(filled, f"w{i}").id == 1
        end_lease(filled, 1)
        assert filled.expire() == [1]
    found = filled.run(1)
    assert (found.state, found.fault, found.losses, found.attempt) == (State.ERROR, Fault.SERVICE, 3, 3)
    assert found.reason.startswith("worker w2 stopped responding; 3 tries failed by a fault of the service")
    assert filled.claim("w9").id == 2  # type: ignore[union-attr]


def test_a_fault_of_the_service_is_tried_again(filled: Store) -> None:
    for i in range(3):
        run = claimed(filled, f"w{i}")
        assert run.id == 1
        assert filled.finish(run, f"w{i}", failure(Fault.SERVICE, "no space left"))
        waits = filled.run(1)
        if i < 2:
            assert waits.state is State.PENDING
            assert f"no space left; waits for another worker (failed tries: {i + 1} of 3)" in waits.reason
    assert (waits.state, waits.fault) == (State.ERROR, Fault.SERVICE)
    assert "an organiser can run it again" in waits.reason
    assert [attempt.outcome for attempt in filled.attempts(1)] == ["failed"] * 3


def test_a_run_that_is_given_back_waits_again(filled: Store) -> None:
    run = claimed(filled)
    assert filled.give_back(run, "w1", "worker w1 was stopped")
    found = filled.run(run.id)
    assert (found.state, found.losses, found.worker) == (State.PENDING, 0, None)
    assert claimed(filled, "w2").id == run.id


def test_a_run_that_nobody_brings_to_its_end_is_an_error(filled: Store) -> None:
    for i in range(20):
        run = claimed(filled)
        assert (run.id, run.attempt) == (1, i + 1)
        assert filled.give_back(run, "w1", "walltime")
    assert filled.run(1).state is State.ERROR
    assert "20 workers have begun it, and none came to its end" in filled.run(1).reason


def test_cancel(filled: Store) -> None:
    user = filled.user_named("Ann")
    run = claimed(filled)
    assert filled.request_cancel(2, user)
    assert filled.run(2).state is State.CANCELED
    assert filled.run(2).reason == "canceled by Ann before it started"
    assert not filled.cancel_requested(run)
    assert filled.request_cancel(1, user)
    assert filled.cancel_requested(run)
    assert filled.run(1).state is State.RUNNING
    assert filled.finish(run, "w1", RunResult(State.CANCELED, reason="canceled during tagger on nominal"))
    assert filled.run(1).state is State.CANCELED
    assert not filled.request_cancel(1, user)
    assert claimed(filled).id == 3


def test_a_run_that_is_canceled_while_it_is_scored_is_not_ranked(filled: Store) -> None:
    run = claimed(filled)
    filled.request_cancel(1, filled.user_named("Ann"))
    assert filled.finish(run, "w1", success())
    found = filled.run(1)
    assert (found.state, found.reason, found.scores) == (State.CANCELED, "canceled while it was scored", None)
    assert filled.finish(run, "w1", success()), "the answer to the first call may be lost"
    assert filled.board_rows("toy", "public") == []
    assert filled.scores(1) is None


@pytest.mark.parametrize("how", ["lease", "give back", "fault"])
def test_a_canceled_run_does_not_start_again(how: str, filled: Store) -> None:
    run = claimed(filled)
    filled.request_cancel(1, filled.user_named("Ann"))
    if how == "lease":
        end_lease(filled, 1)
        filled.expire()
    elif how == "give back":
        filled.give_back(run, "w1", "stopped")
    else:
        filled.finish(run, "w1", failure(Fault.SERVICE, "disk"))
    assert filled.run(1).state is State.CANCELED
    assert filled.run(1).reason.startswith("canceled; ")


@pytest.mark.parametrize(
    "scores",
    [
        None,
        Scores({}),
        Scores({"auc": Score(float("nan"))}),
        Scores({"auc": Score(float("inf"))}),
        Scores({"auc": Score(0.9, float("nan"))}),
    ],
)
def test_a_success_without_finite_scores_is_the_organisers_fault(scores: Scores | None, filled: Store) -> None:
    assert filled.finish(claimed(filled), "w1", RunResult(State.SUCCESS, scores=scores))
    found = filled.run(1)
    assert (found.state, found.fault, found.scores) == (State.ERROR, Fault.ORGANISER, None)
    assert "no finite scores" in found.reason
    assert filled.board_rows("toy", "public") == []


def test_a_result_that_is_no_end_is_refused(filled: Store) -> None:
    with pytest.raises(ValueError, match="cannot end as running"):
        filled.finish(claimed(filled), "w1", RunResult(State.RUNNING))


def test_place_in_the_queue(filled: Store) -> None:
    assert [filled.queue_position(run) for run in (1, 2, 3)] == [1, 2, 3]
    assert filled.queue_place(3).reason == "no worker runs; the organiser has to start one"
    filled.worker_seen("w1", "host", "", "host: the disk is full")
    assert "(host: the disk is full)" in filled.queue_place(3).reason
    filled.worker_seen("w1")
    filled.worker_seen("w2")
    assert filled.queue_place(3).reason == "2 runs wait before this one"
    assert filled.queue_place(1).reason == "is the next to start"
    run = claimed(filled)
    result = success()
    assert filled.finish(run, "w1", result)
    with filled.database.writing() as connection:
        connection.exec_driver_sql("UPDATE runs SET wall_seconds = 100 WHERE id = 1")
    place = filled.queue_place(3)
    assert (place.position, place.running, place.workers, place.estimate_seconds) == (2, 0, 2, 0)
    assert place.waited_seconds >= 0
    assert filled.queue_position(1) == 0
    claimed(filled, "w1")
    filled.worker_stopped("w2")
    assert filled.queue_place(3).estimate_seconds == 100
    assert [(worker.name, worker.alive) for worker in sorted(filled.workers(), key=lambda row: row.name)] == [
        ("w1", True),
        ("w2", False),
    ]


def test_a_worker_that_is_busy_for_long_runs(filled: Store) -> None:
    filled.worker_seen("w1")
    run = claimed(filled)
    _shift(filled, "workers", "seen_at", -3600)
    assert filled.queue_place(2).workers == 0
    filled.heartbeat(run, "w1")
    assert (filled.queue_place(2).workers, filled.queue_place(2).reason) == (1, "is the next to start")


def test_a_clock_that_is_set_back_keeps_no_run_of_a_dead_worker(filled: Store) -> None:
    filled.worker_seen("w1")
    run = claimed(filled)
    for table, column in (("runs", "lease_until"), ("runs", "heartbeat_at"), ("workers", "seen_at")):
        _shift(filled, table, column, 7200)
    assert filled.queue_place(2).workers == 0
    assert filled.claim("w2") is not None
    again = filled.run(run.id)
    assert again.state is State.RUNNING, "its worker may live, and has the time of a lease to say so"
    assert again.lease_until == pytest.approx(filled.now() + 60, abs=5)
    assert filled.heartbeat(run, "w1")


def _shift(store: Store, table: str, column: str, seconds: float) -> None:
    with store.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = {column} + {seconds}")


def test_clocks_of_workers_do_not_matter(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases, submissions and days are counted by the clock of the database."""
    before = filled.now()
    for shift in (1e6, -1e6):
        clock = time.time
        monkeypatch.setattr(time, "time", lambda shift=shift, clock=clock: clock() + shift)
        run = claimed(filled, f"w{shift}")
        assert run.lease_until - run.heartbeat_at == pytest.approx(60, abs=0.5)  # type: ignore[operator]
        assert filled.expire() == []
        assert before <= run.started_at <= filled.now() < before + 60  # type: ignore[operator]
        monkeypatch.undo()


def work(url: str, folder: str, name: str, seconds: float, out: "object") -> None:
    """Claim and finish as fast as possible, in a process of its own."""
    store = Store(url, folder)
    end, done = time.monotonic() + seconds, []
    while time.monotonic() < end:
        run = store.claim(name, 30)
        if run is None:
            break
        assert store.heartbeat(run, name, 30)
        assert store.finish(run, name, success(0.5 + run.id / 1000))
        done.append(run.id)
    out.put(done)  # type: ignore[attr-defined]


def test_two_processes_claim_at_once(url: str, open_store: Callable[[str], Store], tmp_path: Path) -> None:
    store = open_store(url)
    registered(store, tmp_path / "toy")
    runs = submitted(store, participant(store), tmp_path, 40)
    context = get_context("spawn")
    out = context.Queue()
    workers = [context.Process(target=work, args=(url, str(store.folder), name, 60.0, out)) for name in ("w1", "w2")]
    for worker in workers:
        worker.start()
    done = [out.get(timeout=90) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert sorted(done[0] + done[1]) == runs
    assert set(states(store).values()) == {"success"}
    assert [event.subject for event in store.audit() if event.action == "claim"].count("run 1") == 1
    assert sum(event.action == "claim" for event in store.audit()) == 40
    assert sum(event.action == "finish" for event in store.audit()) == 40


def test_threads_share_a_store(filled: Store) -> None:
    found: list[Run | None] = []
    threads = [threading.Thread(target=lambda i=i: found.append(filled.claim(f"w{i}"))) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.id for run in found if run is not None) == [1, 2, 3]
