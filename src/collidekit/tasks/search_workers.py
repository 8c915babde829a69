"""Worker processes of a search on this machine."""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collidekit.errors import CollidekitError
from collidekit.plain_text import literal

if TYPE_CHECKING:
    from collidekit.tasks.search import SearchTask


def run_workers(task: "SearchTask", count: int) -> None:
    """Run ``count`` processes until the trials are done; each writes its output to its own file."""
    folder = task.folder / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    given = {name: getattr(task, name) for name in task.get_param_names(include_significant=True)}
    context = get_context("spawn")
    start = f"{time.time():.0f}-{os.getpid()}"
    logs = [folder / f"{start}-{number}.log" for number in range(1, count + 1)]
    workers = [context.Process(target=_work, args=(given, path, os.getpid()), daemon=False) for path in logs]
    for process in workers:
        process.start()
    try:
        for process in workers:
            process.join()
    except BaseException:
        _stop(workers)
        raise
    for process, path in zip(workers, logs, strict=True):
        if process.exitcode:
            task.say(f"[yellow]a worker ended with code {process.exitcode}: {literal(_last(path))}[/yellow]")
    if all(process.exitcode == 2 for process in workers):
        raise CollidekitError(f"all {count} workers of the search ended with an error; the first: {_last(logs[0])}")


def _stop(workers: Sequence[BaseProcess]) -> None:
    """Stop the workers as Ctrl-C does; they save their trainings and release their trials."""
    for process in workers:
        if process.is_alive() and process.pid:
            os.kill(process.pid, signal.SIGINT)
    for process in workers:
        process.join()


def _last(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
    return f"{lines[-1]} ({path})" if lines else str(path)


def _work(given: dict[str, Any], log: Path, parent: int) -> None:
    """Run one worker in its own session, so that Ctrl-C reaches it only once, from its parent."""
    os.setsid()
    terminal = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
    with log.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from collidekit.search.study import open_study
    from collidekit.search.work import work
    from collidekit.tasks.search import SearchTask

    def say(text: str) -> None:
        for stream in (terminal, sys.stdout):
            print(text, file=stream, flush=True)

    try:
        task = SearchTask(**given)
        plan = task.full_plan
        work(open_study(plan), plan, task.train, say)
    except CollidekitError as error:
        print(f"error: {' '.join(str(error).split())}", flush=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _end_with(parent: int) -> None:
    """Stop this process as Ctrl-C does when its parent has ended."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGINT)
