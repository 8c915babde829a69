"""A worker process of a store."""

import os
import threading
import time
from pathlib import Path

from collidekit.benchmark.sandbox.choose import choose_sandbox
from collidekit.benchmark.store import Store
from collidekit.benchmark.worker import Worker


def make_worker(
    url: str, folder: Path | None, engine: str, image: str, pull: bool, trust: bool, name: str = "", child: bool = False
) -> Worker:
    """Return a worker of a store, whose sandbox was tried out and never sees the truth of its benchmarks.

    A ``child`` stops when the process that started it ends, however that happens.
    """
    store = Store(url, folder)
    private = [store.database.path] if store.database.path else []
    for version in store.benchmarks():
        phases = version.definition.phases.values()
        private += [version.definition.path(sample.truth) for phase in phases for sample in phase.samples.values()]
    sandbox = choose_sandbox(engine, image=image, pull=pull, trust=trust, private=tuple(private))
    made = Worker(store, sandbox, name=name)
    if child:
        threading.Thread(target=_stop_with_parent, args=(made, os.getppid()), daemon=True).start()
    return made


def _stop_with_parent(worker: Worker, parent: int) -> None:
    while os.getppid() == parent and not worker.stopping.is_set():
        time.sleep(1)
    worker.stop()
