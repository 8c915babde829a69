"""Workers as jobs of Slurm, with the resources and the environment of a site file."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import join

from collidekit.batch.commands import QueueUnavailable
from collidekit.batch.job import tail
from collidekit.batch.script import option_path, prologue, python_of, slurm_options
from collidekit.batch.site import Site
from collidekit.batch.slurm import SlurmQueue
from collidekit.benchmark.patience import patiently, pause_of
from collidekit.benchmark.states import State
from collidekit.benchmark.store import Store
from collidekit.errors import CollidekitError
from collidekit.files import write_text
from collidekit.progress import notice

KIND = "benchmark"
"""Kind of job in the ``resources`` of a site file."""


def worker_script(site: Site, words: Sequence[str], logs: Path) -> str:
    """Return the script of a job that runs ``python WORDS``; the worker gets SIGUSR1 before the walltime and gives its run back."""
    resources = site.resources_of(KIND)
    options = [f"--signal=B:USR1@{site.stop_before_end}"]
    options += slurm_options("ck-benchmark", option_path(logs, "worker-%j.log"), site, resources)
    prefix, python = python_of(site)
    lines = ["#!/bin/bash", *[f"#SBATCH {option}" for option in options], *prologue(site, resources)]
    return "\n".join([*lines, f"exec {prefix}{join([python, *words])}", ""])


class WorkerJobs:
    """Keeps up to ``number`` jobs of workers in the queue of Slurm while runs wait.

    ``words`` follow ``python`` in the job, such as ``-m collidekit benchmark worker --store URL --folder FOLDER --idle 60``. Jobs end
    by themselves when no run waits; what they are killed with, the lease of their run brings it back.
    """

    def __init__(
        self, store: Store, site: Site, words: Sequence[str], number: int, say: Callable[[str], None] = notice,
        queue: SlurmQueue | None = None,
    ) -> None:  # fmt: skip
        if site.system != "slurm":
            raise CollidekitError(
                f"{site.path}: workers are sent to Slurm only; with {site.system} start 'collidekit benchmark worker' in jobs of your own"
            )
        if store.database.path is not None and number > 1:
            say(
                f"{store.database.shown}: SQLite serves workers of one machine; jobs on other nodes need postgresql://user@host/database"
            )
        self.store, self.site, self.number, self.say = store, site, number, say
        self.queue = queue or SlurmQueue()
        self.logs = store.folder / "workers"
        self.script = self.logs / "worker.sh"
        self.words = tuple(words)
        self.jobs: dict[str, None] = {}
        self.failures = 0
        """Jobs in a row that ended with an error."""

    def run_forever(self, stop: threading.Event) -> None:
        """Look after the jobs until it is stopped; then cancel them, and their runs go back into the queue."""
        self.queue.check(self.site.slurm.partition)
        try:
            while not stop.is_set():
                self.step(stop)
                stop.wait(max(self.site.poll, pause_of(self.failures, self.site.poll, 600.0) if self.failures else 0.0))
        finally:
            self.cancel()

    def step(self, stop: threading.Event | None = None) -> None:
        """Forget the jobs that have ended, and send new ones where runs wait for them."""
        stop = stop or threading.Event()
        try:
            states = self.queue.states(list(self.jobs))
        except QueueUnavailable as error:
            self.say(f"the batch system does not answer ({error}); waiting for it")
            return
        for job, state in states.items():
            if not state.alive:
                del self.jobs[job]
                failed = state.reason is not None
                self.failures = self.failures + 1 if failed else 0
                said = f"; its log ends with {' '.join(tail(self.logs / f'worker-{job}.log')[-1:])!r}" if failed else ""
                self.say(f"worker job {job} ended ({state.words}){said}")
        pending = patiently(lambda: self.store.runs(state=State.PENDING, limit=self.number), self.say, stop)
        for _ in range(min(len(pending), self.number - len(self.jobs))):
            if self._send() is None:
                return

    def _send(self) -> str | None:
        write_text(self.script, worker_script(self.site, self.words, self.logs)).chmod(0o755)
        try:
            job = self.queue.submit(self.script)
        except QueueUnavailable as error:
            self.say(f"the batch system does not answer ({error}); waiting for it")
            return None
        self.jobs[job] = None
        self.say(f"sent worker job {job}")
        return job

    def cancel(self) -> None:
        """Cancel the jobs that are left."""
        try:
            self.queue.cancel(list(self.jobs))
        except QueueUnavailable as error:
            self.say(f"worker jobs {', '.join(self.jobs)} could not be canceled ({error}); cancel them with scancel")
        self.jobs.clear()
