"""A worker runs what waits, and every way to fail ends with a reason."""

import os
import shutil
import signal
import threading
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from board_workers import NoSandbox, quick, start_worker, wait_until
from boards import failure, make_submission, participant, registered, submitted, success
from postgres_server import PostgresServer

from collidekit.benchmark import worker as worker_module
from collidekit.benchmark.run_result import RunResult
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import Store, StoreUnavailable
from collidekit.benchmark.worker import Worker
from collidekit.errors import CollidekitError


@pytest.fixture
def filled(local: Store, tmp_path: Path) -> Store:
    """A store with two runs that wait."""
    registered(local, tmp_path / "toy")
    submitted(local, participant(local), tmp_path, 2)
    return local


def make_worker(store: Store, runner: Any = quick, **settings: Any) -> Worker:
    """A worker that keeps what it says."""
    said: list[str] = []
    worker = Worker(
        store,
        NoSandbox(),
        **{"name": "w1", "poll": 0.01, "lease_seconds": 2.0, **settings},
        say=said.append,
        runner=runner,
    )
    worker.said = said  # type: ignore[attr-defined]
    return worker


def test_it_runs_what_waits(filled: Store) -> None:
    seen: dict[str, Any] = {}

    def runner(benchmark: Any, phase: str, submission: Any, work: Path, sandbox: Any, **others: Any) -> RunResult:
        seen.update(
            benchmark=benchmark,
            phase=phase,
            work=work,
            files=sorted(path.name for path in submission.folder.iterdir()),
            **others,
        )
        (work / "nominal" / "output").mkdir(parents=True)
        return quick(benchmark, phase, submission, work, sandbox, **others)

    worker = make_worker(filled, runner)
    assert worker.run_forever(idle_seconds=0) == 2
    assert worker.run_one() is None
    for number in (1, 2):
        run = filled.run(number)
        assert (run.state, run.worker, run.attempt, run.scores["auc"]["value"]) == (State.SUCCESS, "w1", 1, 0.5)  # type: ignore[index]
    assert seen["benchmark"] == filled.benchmark("toy").definition
    assert (seen["phase"], seen["seed"], seen["files"]) == ("public", 0, ["submission.yaml"])
    work = filled.run_folder(filled.run(2))
    assert seen["work"] == work
    assert sorted(path.name for path in work.iterdir()) == ["nominal", "progress.log"]  # without submission and output
    assert [path.name for path in (work / "nominal").iterdir()] == ["tagger.log"]
    assert [worker.alive for worker in filled.workers()] == [False]


def test_the_truth_of_a_version_that_came_later_is_kept_out(filled: Store, tmp_path: Path) -> None:
    seen: list[Any] = []

    class Walls(NoSandbox):
        private: tuple[Path, ...] = (tmp_path / "board.db",)

    def runner(benchmark: Any, phase: str, submission: Any, work: Path, sandbox: Any, **others: Any) -> RunResult:
        seen.append(sandbox.private)
        return quick(benchmark, phase, submission, work, sandbox, **others)

    worker = make_worker(filled, runner)
    worker.sandbox = Walls()
    registered(filled, tmp_path / "later", title="Later")
    submitted(filled, filled.user_named("Ann"), tmp_path)
    for _ in range(3):
        worker.run_one()
    early, late = (tmp_path / name / "truth.parquet" for name in ("toy", "later"))
    assert seen == [(tmp_path / "board.db", early)] * 2 + [(tmp_path / "board.db", late)]
    assert worker.sandbox.private == (tmp_path / "board.db",)


def test_the_log_can_be_read_while_it_runs(filled: Store) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def runner(benchmark: Any, phase: str, submission: Any, work: Path, sandbox: Any, **others: Any) -> RunResult:
        others["on_step"]("nominal", "tagger")
        (work / "nominal").mkdir()
        with (work / "nominal" / "tagger.log").open("wb", buffering=0) as log:
            log.write("epoch 1 \ud83d".encode("utf-8", "replace") + b"\xff\n")
            begun.set()
            assert go_on.wait(20)
            log.write(b"epoch 2\n")
        return success()

    worker = make_worker(filled, runner)
    thread = threading.Thread(target=worker.run_one)
    thread.start()
    assert begun.wait(20)
    run = filled.run(1)
    assert run.state is State.RUNNING
    assert [log.name for log in filled.logs(run)] == ["progress.log", "nominal/tagger.log"]
    text, offset = filled.read_log(run, "nominal/tagger.log")
    assert text == "epoch 1 ?\ufffd\n"
    assert filled.read_log(run, "nominal/tagger.log", offset) == ("", offset)
    go_on.set()
    thread.join()
    assert filled.read_log(run, "nominal/tagger.log", offset)[0] == "epoch 2\n"
    assert filled.read_log(run, "progress.log")[0].endswith("UTC  nominal tagger\n")
    (filled.run_folder(run) / "x.log").symlink_to("/etc/passwd")
    for name in ("x.log", "../../../board.db", "/etc/passwd", "nominal/../progress.log", "", "\x00"):
        with pytest.raises(Exception, match="the run has no such log"):
            filled.read_log(run, name)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(28, "No space left on device", "/data/x"),
            "a file of the service cannot be read or written (No space left on device) (on ",
        ),
        (
            CollidekitError("/srv/board.files/uploads/ab/abc: the stored upload is damaged"),
            "abc: the stored upload is damaged (on ",
        ),
        (MemoryError(), "the worker failed (MemoryError: ) (on "),
        (RuntimeError("two\nlines"), "the worker failed (RuntimeError: two lines) (on "),
    ],
)
def test_whatever_fails_is_tried_again_and_ends_with_a_reason(error: Exception, said: str, filled: Store) -> None:
    def runner(*words: Any, **others: Any) -> RunResult:
        raise error

    worker = make_worker(filled, runner)
    worker.run_one()
    run = filled.run(1)
    assert run.state is State.PENDING
    assert said in run.reason
    assert "/" not in run.reason.partition(" (on ")[0]
    assert worker.failures == 1
    worker.run_one()
    worker.run_one()
    run = filled.run(1)
    assert (run.state, run.fault, run.losses) == (State.ERROR, Fault.SERVICE, 3)
    assert said in run.reason
    worker.runner = quick
    worker.run_one()
    assert worker.failures == 0
    assert filled.run(2).state is State.SUCCESS


def test_a_machine_that_fails_waits_longer_each_time(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = make_worker(filled, lambda *words, **others: failure(Fault.SERVICE, "the sandbox failed"), poll=2.0)
    waits: list[float] = []
    monkeypatch.setattr(worker.stopping, "wait", lambda seconds: waits.append(seconds) or False)
    for pause in (0, 4, 8, 16):
        waits.clear()
        worker.run_one()
        assert sum(waits) == pause
    assert worker_module.pause_of(20, 4, 300) == 300


def test_runs_of_one_user_that_fail_do_not_keep_others_waiting(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = submitted(filled, participant(filled, "Bob"), tmp_path / "other", name="other")[0]

    def runner(*words: Any, **others: Any) -> RunResult:
        run = next(run for run in filled.runs(state=State.RUNNING))
        return success() if run.id == other else failure(Fault.SERVICE, "the sandbox failed")

    worker = make_worker(filled, runner, poll=2.0)
    waits: list[float] = []
    monkeypatch.setattr(worker.stopping, "wait", lambda seconds: waits.append(seconds) or False)
    worker.run_one()
    assert filled.run(1).state is State.PENDING
    worker.run_one()
    assert (filled.run(other).state, waits) == (State.SUCCESS, [])
    assert worker.failures == 0, "a machine that runs what others sent works"


def test_a_machine_that_fails_says_so_while_it_waits(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted(filled, participant(filled, "Bob"), tmp_path / "other", name="other")
    worker = make_worker(filled, lambda *words, **others: failure(Fault.SERVICE, "the sandbox failed"), poll=2.0)
    seen: list[str] = []
    monkeypatch.setattr(worker.stopping, "wait", lambda seconds: seen.append(filled.queue_place(1).reason) or False)
    for _ in range(3):
        worker.run_one()
    assert "the last 2 runs failed by a fault of this machine" in seen[-1]


def test_a_worker_with_another_scorer_is_not_compared(local: Store, tmp_path: Path) -> None:
    benchmark = registered(local, tmp_path / "toy")
    local.register(benchmark, tmp_path / "toy", scorer_version="8")
    submitted(local, participant(local), tmp_path, 2)

    def runner(*words: Any, **others: Any) -> RunResult:
        return evolve(success(), scorer_version="7" if local.run(1).state is State.RUNNING else "8")

    worker = make_worker(local, runner)
    worker.run_one()
    assert (local.run(1).state, local.run(1).scorer_version) == (State.SUCCESS, "7")
    assert local.board_rows("toy", "public") == [], "its scores are not those of the scorer of the leaderboard"
    assert "version 7 of the scorer" in local.run(1).notes[-1]
    worker.run_one()
    assert [row.run.id for row in local.board_rows("toy", "public")] == [2]


def test_a_full_disk_is_no_reason_to_fail_runs(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 5 << 20))
    worker = make_worker(filled)
    assert worker.run_one() is None
    assert filled.run(1).state is State.PENDING
    assert "has 5 MB free, and a run needs 3072 MB" in filled.queue_place(1).reason
    monkeypatch.undo()
    assert worker.run_one() is not None
    assert filled.queue_place(2).workers == 1


def test_a_folder_that_cannot_be_written(filled: Store) -> None:
    (filled.folder / "runs").write_text("in the way")
    worker = make_worker(filled)
    assert worker.run_one() is None
    assert "runs cannot be written" in filled.queue_place(1).reason
    assert filled.run(1).state is State.PENDING
    (filled.folder / "runs").unlink()
    worker.run_one()
    assert filled.run(1).state is State.SUCCESS


def test_a_place_of_a_run_that_cannot_be_written(filled: Store) -> None:
    """The folder of the attempt is in the way, as after a restore of files that are newer than the database."""
    place = filled.folder / "runs" / "000" / "1"
    place.mkdir(parents=True)
    (place / "attempt_1").write_text("in the way")
    worker = make_worker(filled)
    worker.run_one()
    assert "cannot be read or written (File exists)" in filled.run(1).reason
    assert "attempt_1: File exists" in str(filled.audit("run 1")), "organisers read where"
    worker.run_one()
    assert (filled.run(1).state, filled.run(1).attempt) == (State.SUCCESS, 2)


def test_a_damaged_upload_is_a_fault_of_the_service(filled: Store) -> None:
    path = filled.uploads.path(filled.run(1).upload)
    path.unlink()
    worker = make_worker(filled)
    for _ in range(3):
        worker.run_one()
    run = filled.run(1)
    assert (run.state, run.fault) == (State.ERROR, Fault.SERVICE)
    assert f"upload {run.upload[:12]}: is not in" in run.reason


def test_a_new_version_may_refuse_an_old_submission(filled: Store, tmp_path: Path) -> None:
    make_worker(filled).run_forever(idle_seconds=0)
    registered(
        filled,
        tmp_path / "toy",
        parameters=[{"name": "depth", "type": "int", "required": True}],
        classes=["qcd", "top", "w"],
    )
    number = filled.rerun(1, participant(filled, "Boss", "owner"))
    make_worker(filled).run_one()
    run = filled.run(number)
    assert (run.state, run.fault) == (State.ERROR, Fault.PARTICIPANT)
    assert "depth" in run.reason
    assert str(tmp_path) not in run.reason


def slow(*words: Any, canceled: Callable[[], bool], **others: Any) -> RunResult:
    """Run until it is canceled."""
    end = time.monotonic() + 30
    while not canceled() and time.monotonic() < end:
        time.sleep(0.01)
    return RunResult(State.CANCELED, reason="canceled during tagger on nominal")


def test_cancel(filled: Store) -> None:
    worker = make_worker(filled, slow, lease_seconds=1.0)
    thread = threading.Thread(target=worker.run_one)
    thread.start()
    wait_until(lambda: filled.run(1).state is State.RUNNING)
    filled.request_cancel(1, filled.user_named("Ann"))
    thread.join(20)
    run = filled.run(1)
    assert (run.state, run.reason) == (State.CANCELED, "canceled during tagger on nominal")


def test_a_run_that_another_worker_has_taken_is_dropped(filled: Store) -> None:
    worker = make_worker(filled, slow, lease_seconds=1.0)
    thread = threading.Thread(target=worker.run_one)
    thread.start()
    wait_until(lambda: filled.run(1).state is State.RUNNING)
    with filled.database.writing() as connection:
        connection.exec_driver_sql("UPDATE runs SET lease_until = 1, attempt = attempt + 1, worker = 'w2' WHERE id = 1")
        connection.exec_driver_sql(
            "INSERT INTO attempts (run_id, number, worker, claimed_at, reason) VALUES (1, 2, 'w2', 1, '')"
        )
    thread.join(20)
    run = filled.run(1)
    assert (run.state, run.worker) == (State.RUNNING, "w2")
    assert worker.said[-1] == "run 1: another worker has taken it; its result is not written"  # type: ignore[attr-defined]
    assert filled.expire() == [1]


def test_the_heartbeat_keeps_a_long_run(filled: Store) -> None:
    def runner(*words: Any, **others: Any) -> RunResult:
        time.sleep(2.5)
        return success()

    worker = make_worker(filled, runner, lease_seconds=1.0)
    thread = threading.Thread(target=worker.run_one)
    thread.start()
    wait_until(lambda: filled.run(1).state is State.RUNNING)
    while thread.is_alive():
        assert filled.expire() == []
        time.sleep(0.1)
    assert (filled.run(1).state, filled.run(1).attempt) == (State.SUCCESS, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_worker_that_is_told_to_stop_gives_its_run_back(number: signal.Signals, filled: Store) -> None:
    process = start_worker(filled, "w1", seconds=30, lease=60)
    wait_until(lambda: filled.run(1).state is State.RUNNING)
    time.sleep(0.3)
    process.send_signal(number)
    assert process.wait(20) == 0
    run = filled.run(1)
    assert (run.state, run.losses, run.reason) == (
        State.PENDING, 0, "worker w1 was stopped; waits for another worker (failed tries: 0 of 3)"
    )  # fmt: skip
    assert [attempt.outcome for attempt in filled.attempts(1)] == ["given back"]
    assert filled.workers()[0].stopped_at is not None


def test_a_killed_worker(filled: Store) -> None:
    first = start_worker(filled, "w1", seconds=30, lease=1)
    wait_until(lambda: filled.run(1).state is State.RUNNING)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = start_worker(filled, "w2", lease=1)
    wait_until(lambda: filled.run(1).state is State.SUCCESS and filled.run(2).state is State.SUCCESS)
    second.terminate()
    assert second.wait(20) == 0
    assert [(attempt.worker, attempt.outcome) for attempt in filled.attempts(1)] == [("w1", "lost"), ("w2", "success")]


def test_the_database_is_away_for_a_while(open_store: Callable[[str], Store], tmp_path: Path) -> None:
    """The server is stopped while a run goes on; its result is written when the server is back, and work goes on."""
    server = PostgresServer()
    try:
        server.start()
    except AssertionError as error:
        pytest.skip(str(error))
    begun, go_on = threading.Event(), threading.Event()

    def runner(*words: Any, **others: Any) -> RunResult:
        begun.set()
        assert go_on.wait(60)
        return success()

    try:
        store = open_store(server.make_database())
        registered(store, tmp_path / "toy")
        submitted(store, participant(store), tmp_path, 2)
        worker = make_worker(store, runner, lease_seconds=4.0)
        thread = threading.Thread(target=lambda: worker.run_forever())
        thread.start()
        assert begun.wait(20)
        server.interrupt()
        with pytest.raises(StoreUnavailable, match="the database cannot be used"):
            store.run(1)
        go_on.set()
        wait_until(lambda: any("trying again until it answers" in line for line in worker.said))  # type: ignore[attr-defined]
        server.resume()
        wait_until(lambda: "the database answers again" in worker.said)  # type: ignore[attr-defined]
        wait_until(lambda: store.run(2).state is State.SUCCESS)
        worker.stop()
        thread.join(20)
        assert [store.run(number).state for number in (1, 2)] == [State.SUCCESS, State.SUCCESS]
        assert [len(store.attempts(number)) for number in (1, 2)] == [1, 1]
        assert not any("geheim" in line for line in worker.said)  # type: ignore[attr-defined]
        store.close()
    finally:
        server.stop()


def test_a_real_run(local: Store, tmp_path: Path) -> None:
    """From the upload to the board by the runner of the benchmark, with a sandbox that writes predictions itself."""
    pytest.importorskip("collidekit.benchmark.sandbox.predictions", reason="needs the reader of predictions")
    registered(local, tmp_path / "toy")
    local.submit(participant(local), "toy", "public", make_submission(tmp_path / "submission"), "mine")
    worker = make_worker(local, worker_module.run_submission)
    worker.run_one()
    run = local.run(1)
    assert (run.state, run.fault) == (State.ERROR, Fault.ORGANISER), run.reason  # its features are no Parquet file
    assert str(tmp_path) not in run.reason
    assert "features.parquet" in local.audit()[-1].details["details"]
