"""A worker: claims runs, keeps them alive by a heartbeat, runs them in the sandbox, and writes how they ended."""

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from attrs import evolve

from collidekit.batch.worker import job_id
from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.heartbeat import BEATS, Heartbeat
from collidekit.benchmark.patience import patiently, pause_of
from collidekit.benchmark.run import run_submission
from collidekit.benchmark.run_result import RunResult
from collidekit.benchmark.sandbox.job import Sandbox
from collidekit.benchmark.sandbox.private import with_private
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import LEASE_SECONDS, Run, Store, StoreUnavailable
from collidekit.benchmark.store.private import make_folder
from collidekit.benchmark.submission import Submission, load_submission
from collidekit.benchmark.without_folders import without_folders
from collidekit.errors import CollidekitError
from collidekit.progress import notice

SEEN_SECONDS = 15.0
"""Seconds between two notes in the store that the worker lives."""
FREE_SPACE = 3 << 30
"""Bytes that must be free in the folder of the store before a run is claimed: a submission may take 2 GB while it is unpacked."""
LONGEST_PAUSE = 300.0
"""Longest pause in seconds after runs that failed by a fault of this machine."""
CODE = ".submission"
"""Folder of the unpacked submission in that of a run."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""Signals that stop a worker; batch systems send SIGUSR1 before the end of the walltime."""


class Runner(Protocol):
    """Function that runs a submission; ``run_submission`` by default."""

    def __call__(
        self, benchmark: Benchmark, phase: str, submission: Submission, work: Path, sandbox: Sandbox, *, seed: int,
        canceled: Callable[[], bool], on_step: Callable[[str, str], None],
    ) -> RunResult: ...  # fmt: skip


class Worker:
    """A worker of a store. Several may run at once, also on several machines with PostgreSQL."""

    def __init__(
        self, store: Store, sandbox: Sandbox, *, name: str = "", lease_seconds: float = LEASE_SECONDS, poll: float = 2.0,
        say: Callable[[str], None] = notice, runner: Runner = run_submission,
    ) -> None:  # fmt: skip
        self.store, self.sandbox, self.lease_seconds, self.poll = store, sandbox, lease_seconds, poll
        self.host, self.job = socket.gethostname(), job_id()
        self.name = name or f"{self.host}-{os.getpid()}-{uuid4().hex[:6]}"
        self.say, self.runner = say, runner
        self.stopping = threading.Event()
        self.failures = 0
        """Runs in a row that failed by a fault of this machine."""
        self._failing: set[int] = set()
        """The users whose runs these were."""
        self._seen = float("-inf")
        self._message: str | None = None

    def stop(self) -> None:
        """Stop soon: the run at hand goes back into the queue."""
        self.stopping.set()

    def stop_on_signals(self) -> None:
        """Stop the worker at the first signal that ends a process; a second one has its usual effect."""

        def end(number: int, frame: object) -> None:
            self.stop()
            for kind in SIGNALS:
                signal.signal(kind, signal.SIG_DFL)

        for kind in SIGNALS:
            signal.signal(kind, end)

    def run_forever(self, idle_seconds: float = float("inf")) -> int:
        """Work until it is stopped, or no run has waited for ``idle_seconds``; returns the number of runs."""
        done, last = 0, time.monotonic()
        try:
            while not self.stopping.is_set():
                if self.run_one() is not None:
                    done, last = done + 1, time.monotonic()
                elif time.monotonic() - last >= idle_seconds:
                    break
                else:
                    self.stopping.wait(self.poll)
        except StoreUnavailable:
            if not self.stopping.is_set():
                raise
        finally:
            with suppress(StoreUnavailable):
                self.store.worker_stopped(self.name)
        return done

    def run_one(self) -> Run | None:
        """Claim the next run and bring it to its end; returns it as it was claimed, or None where none waits.

        Nothing is claimed while this machine cannot work: its disk is full, its folder cannot be written, or the last runs failed
        by its fault.
        """
        if trouble := self._trouble():
            self._tell(trouble)
            return None
        run = self._pause() if self.failures else None
        if run is None and not self.stopping.is_set():
            self._tell("")
            run = self._claim()
        if run is not None:
            self._work(run)
        return run

    def _pause(self) -> Run | None:
        """Wait after runs that failed by a fault of this machine, longer each time.

        While they are runs of one user it may be their fault after all, and the runs of others are taken meanwhile; returns one.
        """
        left = pause_of(self.failures, self.poll * 2, LONGEST_PAUSE)
        one = len(self._failing) == 1
        while left > 0:
            self._tell("" if one else f"{self.host}: the last {self.failures} runs failed by a fault of this machine")
            if one and (run := self._claim(self._failing)) is not None:
                return run
            if self.stopping.wait(min(left, self.poll)):
                return None
            left -= self.poll
        return None

    def _claim(self, without: Collection[int] = ()) -> Run | None:
        """Claim the next run, of other users than these; None where none waits."""
        try:
            return self.store.claim(self.name, self.lease_seconds, without)
        except StoreUnavailable as error:
            self.say(f"{error}; trying again until it answers")
            patiently(self.store.now, self.say, self.stopping)
            self.stopping.wait(self.lease_seconds / BEATS)  # workers that have runs extend their leases first
            return None

    def _tell(self, message: str) -> None:
        """Note in the store, not too often, that this worker lives, and why it takes no runs, if so."""
        if message == self._message and time.monotonic() - self._seen < SEEN_SECONDS:
            return
        if message and message != self._message:
            self.say(f"no run is taken: {message}")
        patiently(lambda: self.store.worker_seen(self.name, self.host, self.job, message), self.say, self.stopping)
        self._message, self._seen = message, time.monotonic()

    def _trouble(self) -> str:
        """Return why this machine cannot work; empty where it can."""
        folder = self.store.folder / "runs"
        probe = folder / f".{self.name}.probe"
        try:
            make_folder(self.store.folder)
            make_folder(folder)
            probe.write_text("probe")
            probe.unlink()
            free = shutil.disk_usage(folder).free
        except OSError as error:
            return f"{self.host}: {folder} cannot be written ({error.strerror or error})"
        if free < FREE_SPACE:
            return f"{self.host}: {folder} has {free >> 20} MB free, and a run needs {FREE_SPACE >> 20} MB"
        return ""

    def _work(self, run: Run) -> None:
        work = self.store.run_folder(run)
        self.say(f"run {run.id}: {run.group} in {run.benchmark}, phase {run.phase}, attempt {run.attempt}")
        with Heartbeat(self.store, run, self.name, self.lease_seconds) as beat:
            result = self._result(run, work, beat)
            if beat.lost.is_set():
                self.say(f"run {run.id}: another worker has taken it; its result is not written")
            else:
                self._end(run, beat, result)
        _remove_bulk(work)
        if result.fault is Fault.SERVICE:
            self.failures += 1
            self._failing.add(run.user_id)
        else:
            self.failures = 0
            self._failing.clear()

    def _result(self, run: Run, work: Path, beat: Heartbeat) -> RunResult:
        """Run the submission; whatever goes wrong here is a fault of the service, with its reason."""

        def canceled() -> bool:
            return beat.canceled.is_set() or beat.lost.is_set() or self.stopping.is_set()

        def on_step(sample: str, step: str) -> None:
            with suppress(OSError), (work / "progress.log").open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC  {f'{sample} {step}'.strip()}\n")

        try:
            version = patiently(lambda: self.store.version(run.version_id), self.say, self.stopping)
            work.mkdir(parents=True, exist_ok=True)
            folder = self.store.uploads.unpack(run.upload, work / CODE)
            try:
                submission = load_submission(folder, version.definition, run.parameters)
            except (
                CollidekitError
            ) as error:  # it was read before: another version of the benchmark wants something else
                reason = str(error).replace(f"{folder}/", "").replace(str(folder), "the submission")
                return RunResult(State.ERROR, Fault.PARTICIPANT, reason, code_hash=run.code_hash, seed=run.seed)
            sandbox = with_private(self.sandbox, tuple(version.definition.truth_files()))
            result = self.runner(version.definition, run.phase, submission, work, sandbox, seed=run.seed, canceled=canceled,
                                 on_step=on_step)  # fmt: skip
            return _with_scorer_note(result, version.scorer_version)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            details = f"{where}{error.strerror or error}"
            reason = f"a file of the service cannot be read or written ({error.strerror or type(error).__name__})"
        except CollidekitError as error:
            reason = details = str(error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the run ends with a reason
            reason = details = f"the worker failed ({type(error).__name__}: {' '.join(str(error).split())[:300]})"
        reason = without_folders(reason, self.store.folder)
        return RunResult(
            State.ERROR, Fault.SERVICE, f"{reason} (on {self.host})", code_hash=run.code_hash, seed=run.seed,
            details=details if details != reason else "",
        )  # fmt: skip

    def _end(self, run: Run, beat: Heartbeat, result: RunResult) -> None:
        """Write the result, or give the run back where this worker stops."""
        call, words = (
            (lambda: self.store.finish(run, self.name, result)),
            f"{result.state.value} {result.reason}{f' ({result.details})' if result.details else ''}".strip(),
        )
        if self.stopping.is_set() and not beat.canceled.is_set() and result.state is not State.SUCCESS:
            call, words = (
                (lambda: self.store.give_back(run, self.name, f"worker {self.name} was stopped")),
                "given back",
            )
        try:
            try:
                written = patiently(call, self.say, self.stopping)
            except StoreUnavailable:  # it was told to stop: one more chance
                written = patiently(call, self.say, threading.Event(), self.lease_seconds / 2)
        except StoreUnavailable as error:
            self.say(f"run {run.id}: its end is not written ({error}); it is taken up again when its lease is over")
            return
        self.say(f"run {run.id}: {words}" if written else f"run {run.id}: another worker has taken it")


def _with_scorer_note(result: RunResult, wanted: str) -> RunResult:
    """Return a result that says so where another version of the scorer was at work than that of the leaderboard."""
    if not wanted or not result.scorer_version or result.scorer_version == wanted or result.scores is None:
        return result
    note = (
        f"scored by version {result.scorer_version} of the scorer, and the benchmark was registered with version {wanted}: another "
        "version of collidekit runs the worker; an organiser can run it again"
    )
    return evolve(result, notes=(*result.notes, note))


def _remove_bulk(work: Path) -> None:
    """Remove what is stored elsewhere or large: the unpacked submission, outputs and pre-processed data. Logs and predictions stay."""
    for path in (work / CODE, *work.glob("*/output"), *work.glob("*/preprocessed")):
        shutil.rmtree(path, ignore_errors=True)
