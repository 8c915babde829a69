"""The trackers of a running training; if one fails, the training prints a warning and continues."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.files import read_json, write_json
from collidekit.plain_text import literal
from collidekit.tracking.base import Tracker, Tracking
from collidekit.tracking.private import public_settings, without_secrets
from collidekit.tracking.registry import find_trackers

FILE = "tracking.json"
WAIT = 60.0
"""Seconds that the end of a training waits for slow trackers: on a busy machine, a new MLflow database takes 15 s, wandb 30 s."""

Job = Callable[[], None]


class ActiveTracker:
    """One tracker, with its own thread if it works in the background."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self.name, self.tracker = name, tracker
        self.problem, self.warned = "", False
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if tracker.in_background:
            self._thread = threading.Thread(target=self._work, name=f"tracker {name}", daemon=True)
            self._thread.start()

    def call(self, job: Job) -> None:
        """Run a job after all earlier jobs, now or in the background."""
        if self._thread:
            self._jobs.put(job)
        else:
            self._try(job)

    def close(self, seconds: float) -> None:
        """Wait until all jobs are done, at most ``seconds``."""
        if self._thread:
            self._jobs.put(None)
            self._thread.join(seconds)
            if self._thread.is_alive() and not self.problem:
                self.problem = "no answer in time"

    def _work(self) -> None:
        while job := self._jobs.get():
            self._try(job)

    def _try(self, job: Job) -> None:
        if self.problem:
            return
        try:
            job()
        except Exception as error:  # noqa: BLE001 - the training continues after any failure of a tracker
            first = (str(error).strip() or "no message").splitlines()[0]
            self.problem = without_secrets(f"{type(error).__name__}: {first}")[:300]


class ActiveTrackers:
    """All trackers of one training."""

    def __init__(
        self, tracking: Tracking, settings: Mapping[str, Any], analysis: str, folder: Path,
        epochs: Sequence[Mapping[str, float]], say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Start the trackers and record the epochs so far."""
        self._say, self._tracking = say, tracking
        kinds = find_trackers(tracking, lambda text: say(f"[dim]{literal(text)}[/dim]"))
        run_id = run_of(folder) if any(kind.in_background for kind in kinds.values()) else ""
        self._all = [ActiveTracker(name, _create(name, kind, tracking, run_id)) for name, kind in kinds.items()]
        public = public_settings(settings, tracking.store or folder)
        for one in self._all:
            one.call(lambda one=one: one.tracker.begin(public, analysis, folder))  # type: ignore[misc]
        for row in epochs:
            self.epoch(row)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Record an epoch with all trackers."""
        copy = dict(row)
        for one in self._all:
            one.call(lambda one=one: one.tracker.epoch(copy))  # type: ignore[misc]
        self._warn()

    def end(self, kept_epoch: int, files: Sequence[Path]) -> None:
        """Close the runs of a complete training."""
        chosen = tuple(files) if self._tracking.files else ()
        for one in self._all:
            one.call(lambda one=one: one.tracker.end(kept_epoch, chosen))  # type: ignore[misc]
        self._close()

    def stop(self) -> None:
        """Close the runs of an interrupted training."""
        for one in self._all:
            one.call(one.tracker.stop)
        self._close()

    def _close(self) -> None:
        end = time.monotonic() + WAIT
        for one in self._all:
            one.close(max(end - time.monotonic(), 0.1))
        self._warn()

    def _warn(self) -> None:
        """Print the problem of a tracker once, between the lines of the training."""
        for one in self._all:
            if one.problem and not one.warned:
                one.warned = True
                text = f"{one.name}: {one.problem}; the training continues without this tracker"
                self._say(f"[yellow]{literal(text)}[/yellow]")


def _create(name: str, kind: type[Tracker], tracking: Tracking, run_id: str) -> Tracker:
    try:
        return kind(tracking, run_id)
    except Exception as error:
        raise CollidekitError(f"--track: {name}: {type(error).__name__}: {error}") from error


def run_of(folder: Path) -> str:
    """Return the id of the run of a training; a file in its folder keeps it for a continued training."""
    path = folder / FILE
    with suppress(CollidekitError):  # without a readable file, a new run begins
        found = read_json(path)
        if isinstance(found, dict) and isinstance(run := found.get("run"), str) and run.isalnum():
            return run
    run = uuid.uuid4().hex
    write_json(path, {"run": run})
    return run
