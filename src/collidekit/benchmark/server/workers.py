"""The workers of a server: processes beside it, or jobs of a batch system."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from collidekit.batch.site import load_site
from collidekit.benchmark.store import Store
from collidekit.benchmark.worker_jobs import WorkerJobs, worker_script
from collidekit.errors import CollidekitError

IDLE = 120
"""Seconds without a run after which the worker of a job ends."""


class Workers(Protocol):
    """Workers that start and stop with a server."""

    def start(self) -> None:
        """Start the workers."""

    def stop(self) -> None:
        """Stop the workers; their runs go back into the queue."""


def worker_words(folder: Path, engine: str, image: str, pull: bool, trust: bool) -> list[str]:
    """Return what follows ``python`` in the command of a worker, without its store."""
    words = ["-m", "collidekit", "benchmark", "worker", "--folder", str(folder)]
    for name, value in (("--engine", engine), ("--image", image)):
        words += [name, value] if value else []
    return words + [name for name, wanted in (("--pull", pull), ("--trust", trust)) if wanted]


class BatchWorkers:
    """Workers as jobs of a batch system, which are sent while runs wait."""

    def __init__(
        self, store: Store, url: str, system: str | None, site: str | None, words: Sequence[str], number: int
    ) -> None:
        if number < 1:
            raise CollidekitError("--workers: workers as jobs need at least one")
        store_url = url if "://" in url else str(Path(url).expanduser().absolute())
        self._jobs = WorkerJobs(
            store, load_site(site or "", system or ""), [*words, "--store", store_url, "--idle", str(IDLE)], number
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.run, daemon=True)

    def script(self) -> str:
        """Return the script of a job."""
        return worker_script(self._jobs.site, self._jobs.words, self._jobs.logs)

    def run(self) -> None:
        """Look after the jobs until it is stopped."""
        self._jobs.run_forever(self._stop)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
