"""Simulation jobs of fixed size, each with its own random seed, in one or several processes; results are in order."""

from __future__ import annotations

import os
import threading
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.simulation.columns import Columns
from collidekit.simulation.samples import SAMPLES

EVENTS_PER_SEED = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Job:
    """One part of a sample; its content depends only on these fields."""

    sample: str
    seed: int
    number: int
    first: int  # jets before this job
    jets: int
    settings: tuple[tuple[str, float], ...] = ()

    def run(self) -> Columns:
        """Return the rows; `event` is seed * 1e9 + the number in the file, so that files with different seeds share no event number."""
        rng = np.random.default_rng([self.seed, self.number, zlib.crc32(self.sample.encode())])
        columns = SAMPLES[self.sample].generate(self.jets, rng, **dict(self.settings))
        return {**columns, "event": columns["event"] + self.seed * EVENTS_PER_SEED + self.first}


def plan(sample: str, seed: int, jets: int, settings: Mapping[str, float]) -> list[Job]:
    """Return jobs with `jets` rows in total; the last one may be smaller."""
    size, given = SAMPLES[sample].rows_per_job, tuple(settings.items())
    starts = range(0, jets, size)
    return [Job(sample, seed, i, first, min(size, jets - first), given) for i, first in enumerate(starts)]


def run(jobs: list[Job], workers: int) -> Iterator[Columns]:
    """Yield the results in the order of the jobs, for any number of workers."""
    workers = min(workers, len(jobs))
    return _run_in_processes(jobs, workers) if workers > 1 else (job.run() for job in jobs)


def _run_in_processes(jobs: list[Job], workers: int) -> Iterator[Columns]:
    context = get_context("spawn")
    watched, lifeline = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(workers, context, _end_with_parent, (watched,))
    waiting: deque[Future[Columns]] = deque()
    try:
        for job in jobs:
            waiting.append(executor.submit(job.run))
            if len(waiting) > 2 * workers:  # limits the number of finished results in memory
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise CollidekitError(
            "a simulation process died: the memory was too small, or a script calls simulate(workers > 1) "
            "outside of `if __name__ == '__main__':`"
        ) from error
    finally:
        lifeline.close()
        executor.shutdown(wait=True, cancel_futures=True)


def _end_with_parent(watched: Connection) -> None:
    """Prepare a worker: ignore Ctrl-C, and exit immediately if the parent closes its end of the pipe or dies."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        try:
            watched.recv_bytes()
        finally:
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
