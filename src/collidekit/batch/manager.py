"""Sends jobs in the order of their needs, watches them, and sends failed ones again as the retry table says.

All that is known is on disk, so a manager that is started again watches the jobs that are there and sends none twice.
"""

import shutil
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from collidekit.batch.commands import QueueUnavailable
from collidekit.batch.htcondor import HTCondorQueue
from collidekit.batch.job import Attempt, Job, Say, attempts_of
from collidekit.batch.reasons import QueueState, Reason, explain, peak_memory
from collidekit.batch.retry import Failure, Next, next_step
from collidekit.batch.script import job_script, kerberos_cache, submit_description, voms_proxy
from collidekit.batch.site import Resources, Site
from collidekit.batch.slurm import SlurmQueue
from collidekit.errors import CollidekitError
from collidekit.files import write_text

GRACE = 90.0
"""Seconds that a file may take to appear here after a job has written it on another node."""
SKEW = 60.0


class Queue(Protocol):
    """Interface of a batch system."""

    def check(self, partition: str) -> None: ...
    def submit(self, script: Path, submit_file: Path | None = None) -> str: ...
    def find(self, script: Path) -> str: ...
    def states(self, ids: Sequence[str]) -> dict[str, QueueState]: ...
    def cancel(self, ids: Sequence[str]) -> None: ...


class Manager:
    """The jobs of one run; ``folder`` has a folder for each job, and in it one for each attempt."""

    def __init__(
        self, jobs: Sequence[Job], site: Site, folder: Path, say: Say, queue: Queue | None = None, grace: float = GRACE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self.jobs, self.site, self.folder, self.say = list(jobs), site, folder, say
        self.queue: Queue = queue or (SlurmQueue() if site.system == "slurm" else HTCondorQueue())
        self.grace, self.sleep = grace, sleep
        self.failures: list[dict[str, Any]] = []
        self.stopped: set[str] = set()
        self._ended_since: dict[str, float] = {}
        self._shown: dict[str, str] = {}

    def run(self) -> bool:
        """Run all jobs; returns whether every output is there. Ctrl-C cancels the jobs."""
        self._check()
        try:
            while open_jobs := self._unfinished():
                if not self._step(open_jobs):
                    break
                self.sleep(self.site.poll)
        except KeyboardInterrupt as stop:
            if type(stop) is KeyboardInterrupt:  # a closed terminal is no wish to cancel
                self.cancel()
            raise
        return len(self._done()) == len(self.jobs)

    def _unfinished(self) -> list[Job]:
        """Return the jobs whose output is not there; the attempts of the others are closed."""
        done = self._done()
        for job in self.jobs:
            if job.name in done and (attempt := self._open(job)):
                attempt.write("closed", {"reason": Reason.DONE.value, "again": False})
                self.say(f"{job.name}: done")
        return [job for job in self.jobs if job.name not in done | self.stopped]

    def _done(self) -> set[str]:
        """Return the names of the jobs whose output is there, or was used up: all that it was needed for is done."""
        done: set[str] = set()
        for job in reversed(self.jobs):  # each comes after what it needs
            users = {other.name for other in self.jobs if job.name in other.needs}
            if job.complete or (users and users <= done):
                done.add(job.name)
        return done

    def cancel(self) -> None:
        """Cancel every job that is not over."""
        attempts = [attempt for job in self.jobs if (attempt := self._open(job))]
        for attempt in attempts:
            self._find(attempt)
        if ids := [attempt.job_id for attempt in attempts if attempt.job_id]:
            self.queue.cancel(ids)
            self.say(f"cancelled: {', '.join(ids)}")

    def _check(self) -> None:
        try:
            self.queue.check(self.site.slurm.partition)
        except QueueUnavailable as error:
            raise CollidekitError(
                f"the batch system does not answer ({str(error)[:300]}); give this command where jobs can be sent, or later"
            ) from None
        for wanted, path, how in (
            (self.site.credentials.voms, voms_proxy(), "voms-proxy-init"),
            (self.site.credentials.kerberos, kerberos_cache(), "kinit"),
        ):
            if wanted and not path.startswith(("KEYRING:", "KCM:")) and not Path(path).is_file():
                raise CollidekitError(f"{path}: is not there, and credentials of the site file ask for it; run {how}")

    def _step(self, jobs: Sequence[Job]) -> bool:
        """Look at each job once; returns whether there is anything to wait for."""
        attempts = {job.name: attempt for job in jobs if (attempt := self._open(job))}
        try:
            for attempt in attempts.values():
                self._find(attempt)
            states = self.queue.states([attempt.job_id for attempt in attempts.values() if attempt.job_id])
        except QueueUnavailable as error:
            self._note("queue", f"the batch system does not answer ({error}); waiting for it")
            return True
        waiting = False
        done = self._done()
        for job in jobs:
            if attempt := attempts.get(job.name):
                self._look(job, attempt, states.get(attempt.job_id))
                waiting = True
            elif done.issuperset(job.needs):
                self._send(job, self.site.resources_of(job.kind), ())
                waiting = True
        return waiting

    def _open(self, job: Job) -> Attempt | None:
        """Return the last attempt if it is not closed."""
        attempts = attempts_of(self.folder / job.name)
        return attempts[-1] if attempts and not attempts[-1].read("closed") else None

    def _find(self, attempt: Attempt) -> None:
        """Look in the queue for a job whose id was not saved, since the command that sent it ended too early."""
        if not attempt.job_id and (job_id := self.queue.find(attempt.script)):
            attempt.write("submitted", {"id": job_id})
            self.say(f"found {attempt.folder.parent.name} as job {job_id}")

    def _send(self, job: Job, resources: Resources, exclude: tuple[str, ...]) -> None:
        attempt = self._prepare(job, resources, exclude)
        if attempt is None:
            return  # another manager sends it
        try:
            job_id = self.queue.submit(attempt.script, attempt.folder / "job.sub")
        except QueueUnavailable as error:
            self._note("queue", f"the batch system does not answer ({error}); looking for {job.name} in its queue")
            return
        except CollidekitError:
            attempt.write("closed", {"reason": "refused", "again": False})
            raise
        attempt.write("submitted", {"id": job_id})
        self.say(f"sent {job.name} as job {job_id}")

    def _prepare(self, job: Job, resources: Resources, exclude: tuple[str, ...]) -> Attempt | None:
        """Write the folder of the next attempt, all at once; None where another manager has written it."""
        number = len(attempts_of(self.folder / job.name)) + 1
        attempt = Attempt((self.folder / job.name / f"attempt_{number}").absolute())
        draft = Attempt(attempt.folder.with_name(f".{attempt.folder.name}.{socket.gethostname()}.{uuid4().hex}"))
        try:
            draft.folder.mkdir(parents=True)
        except OSError as error:
            raise CollidekitError(
                f"{self.folder}: cannot be written ({error.strerror}); if the results are those of another user, name your own folder with --output"
            ) from None
        write_text(draft.script, job_script(job, self.site, resources, attempt, exclude)).chmod(0o755)
        if self.site.system == "htcondor":
            write_text(draft.folder / "job.sub", submit_description(job, self.site, resources, attempt, exclude))
        draft.write("asked", {"resources": resources.model_dump(mode="json"), "before": job.fingerprint()})
        try:
            draft.folder.rename(attempt.folder)
        except OSError:
            shutil.rmtree(draft.folder, ignore_errors=True)
            return None
        return attempt

    def _look(self, job: Job, attempt: Attempt, queue: QueueState | None) -> None:
        completed = attempt.read("completed")
        queue = queue or QueueState(False, "the submission was interrupted")
        if queue.alive:
            self._ended_since.pop(job.name, None)
            where = f" on {queue.host}" if queue.running and queue.host else ""
            self._note(job.name, f"{job.name}: {queue.words}{where}")
            return
        if job.complete:
            return  # it became so since the queue was asked
        since = self._ended_since.setdefault(job.name, time.monotonic())
        reason, words = explain(queue, completed, attempt.log_tail(), attempt.resources.memory)
        if not completed and reason in (Reason.LOST, Reason.PROGRAM) and time.monotonic() - since < self.grace:
            return  # its completion file may not be visible here yet
        if reason == Reason.DONE:
            if not job.complete and time.monotonic() - since < self.grace:
                return
            reason, words = (
                (Reason.DONE, "") if job.complete else (Reason.LOST, "the job ended well without its output")
            )
        if queue.held:
            self.queue.cancel([attempt.job_id])
        if abs(skew := float(completed.get("clock_skew", 0.0))) > SKEW:
            self._note(
                "skew",
                f"the clock of {completed['host']} and that of the file server differ by {abs(skew):.0f} s; tell your site",
            )
        if reason != Reason.DONE:
            self._close(job, attempt, queue, completed, reason, words)

    def _close(
        self, job: Job, attempt: Attempt, queue: QueueState, completed: dict[str, Any], reason: Reason, words: str
    ) -> None:
        host = str(completed.get("host") or queue.host or attempt.read("started").get("host", ""))
        progress = job.fingerprint() != attempt.read("asked").get("before")
        step = next_step([*self._earlier(job), Failure(reason, attempt.resources, host, progress)], self.site.limits)
        entry = {
            "job": job.name, "id": attempt.job_id, "host": host, "reason": reason.value, "words": words, "progress": progress,
            "peak_memory": round(peak_memory(queue, completed, attempt.log_tail()), 1),
            "last_line": attempt.last_line(), "next": step.words, "again": step.again,
        }  # fmt: skip
        attempt.write("closed", entry)
        self.failures.append(entry)
        self._ended_since.pop(job.name, None)
        self.say(f"{job.name}: {words}; {step.words}")
        self._follow(job, step)

    def _follow(self, job: Job, step: Next) -> None:
        if step.again:
            self._send(job, step.resources, step.exclude)
        else:
            self.stopped.add(job.name)

    def _earlier(self, job: Job) -> list[Failure]:
        """Return the failures that led to the last attempt: those since the job was stopped or done for the last time."""
        found: list[Failure] = []
        for attempt in attempts_of(self.folder / job.name):
            closed = attempt.read("closed")
            if not closed:
                continue
            if not closed["again"]:
                found = []
                continue
            found.append(Failure(Reason(closed["reason"]), attempt.resources, closed["host"], closed["progress"]))
        return found

    def _note(self, about: str, text: str) -> None:
        """Say a text once, until there is another one about the same."""
        if self._shown.get(about) != text:
            self._shown[about] = text
            self.say(text)
