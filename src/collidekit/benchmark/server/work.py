"""A worker process of a store."""

import os
import threading
import time
from pathlib import Path

from collidekit.benchmark.sandbox.choose import choose_sandbox
from collidekit.benchmark.sandbox.system import shown_by
from collidekit.benchmark.store import Store
from collidekit.benchmark.worker import Worker
from collidekit.errors import CollidekitError
from collidekit.lease import began_at

WITH_SYSTEM = ("bubblewrap", "podman")
"""Sandboxes that show programs and Python of this machine."""


def make_worker(
    url: str, folder: Path | None, engine: str, image: str, pull: bool, trust: bool, name: str = "", child: str = ""
) -> Worker:
    """Return a worker of a store, whose sandbox was tried out; the truth is kept out for each run, from its own benchmark.

    ``child`` is the mark of the process that started it (``parent_mark``): the worker stops when that one ends, however it ends.
    """
    if child and not lives(child):
        raise CollidekitError("the server that started this worker has ended; the worker ends, too")
    store = Store(url, folder, new=False)
    private = [store.database.path] if store.database.path else []
    sandbox = choose_sandbox(engine, image=image, pull=pull, trust=trust, private=tuple(private))
    if sandbox.name in WITH_SYSTEM and (shown := shown_by(store.folder)):
        raise CollidekitError(
            f"{store.folder}: lies in {shown}, which every submission can read; keep the store elsewhere, such as in /srv"
        )
    made = Worker(store, sandbox, name=name)
    if child:
        threading.Thread(target=_stop_with_parent, args=(made, child), daemon=True).start()
    return made


def parent_mark() -> str:
    """Return what tells this process from all others of this machine: its id and when it began."""
    return f"{os.getpid()}:{began_at(os.getpid())}"


def lives(mark: str) -> bool:
    """Return whether the process of a mark is this one's parent still; an orphan has another one."""
    process, _, began = mark.partition(":")
    return str(os.getppid()) == process and began_at(os.getppid()) == began


def _stop_with_parent(worker: Worker, parent: str) -> None:
    while lives(parent) and not worker.stopping.is_set():
        time.sleep(1)
    worker.stop()
