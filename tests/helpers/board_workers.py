"""Workers in processes of their own, with a runner that needs no sandbox."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from collidekit.benchmark.run_result import RunResult
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.benchmark.states import State
from collidekit.benchmark.store import Store
from collidekit.benchmark.worker import Worker


class NoSandbox:
    """The runners below run nothing in it."""

    name = "none"

    def probe(self) -> Any:
        raise NotImplementedError

    def run(self, job: Any, canceled: Any = None) -> Any:
        raise NotImplementedError


def quick(
    benchmark: Any, phase: str, submission: Any, work: Path, sandbox: Any, *, seed: int, canceled: Any, on_step: Any
) -> RunResult:
    """Take ``SECONDS`` and succeed; the score is that of the parameter or 0.5."""
    on_step("nominal", "tagger")
    (work / "nominal").mkdir(exist_ok=True)
    (work / "nominal" / "tagger.log").write_text("working\n")
    end = time.monotonic() + float(os.environ.get("SECONDS", "0.05"))
    while time.monotonic() < end:
        if canceled():
            return RunResult(State.CANCELED, reason="canceled during tagger on nominal", seed=seed)
        time.sleep(0.01)
    return RunResult(State.SUCCESS, scores=Scores({"auc": Score(0.5)}), seed=seed)


def main() -> None:
    """``board_workers.py URL FOLDER NAME LEASE``: work until told to stop."""
    url, folder, name, lease = sys.argv[1:5]
    worker = Worker(Store(url, folder), NoSandbox(), name=name, lease_seconds=float(lease), poll=0.1, runner=quick)
    worker.stop_on_signals()
    worker.run_forever()


def start_worker(store: Store, name: str, lease: float = 2.0, seconds: float = 0.05) -> "subprocess.Popen[bytes]":
    """Start a worker process; its messages go to ``<name>.err`` in the folder of the store."""
    store.folder.mkdir(parents=True, exist_ok=True)
    with (store.folder / f"{name}.err").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, __file__, store.database.shown.replace("***", "geheim"), str(store.folder), name, str(lease)],
            stdout=log, stderr=log, env={**os.environ, "SECONDS": str(seconds), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    main()
