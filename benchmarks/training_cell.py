"""Measure one network with one batch size on all sides of training.py, in processes that take turns."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from training_table import MODES, same_size

HERE = Path(__file__).parent
SCRIPTS = {"weaver": "weaver_training.py", "collidekit": "collidekit_training.py"}


class Worker:
    """One side in a separate process; see training_worker.py."""

    def __init__(self, python: str, side: str, settings: dict[str, Any]) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in __exit__
        threads = str(settings["threads"])
        self.process = subprocess.Popen(
            [python, str(HERE / SCRIPTS[side]), json.dumps(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def answer(self) -> dict[str, Any]:
        """Return the next line of the process, or the reason for its failure."""
        assert self.process.stdout
        if line := self.process.stdout.readline():
            return {"failure": None, **json.loads(line)}
        code = self.process.wait()
        if code == -9:
            return {"failure": "out of memory"}
        self.log.seek(0)
        last = self.log.read().strip().splitlines()[-1:]
        return {"failure": f"the process ended with {code}: {''.join(last)}"[:300]}

    def measure(self, mode: str, seconds: float) -> dict[str, Any]:
        """Run one turn."""
        assert self.process.stdin
        if self.process.poll() is None:
            self.process.stdin.write(json.dumps({"mode": mode, "seconds": seconds}) + "\n")
            self.process.stdin.flush()
        return self.answer()


def measure_cell(
    sides: Sequence[tuple[str, str]],
    pythons: dict[str, str],
    settings: dict[str, Any],
    repeats: int,
    seconds: float,
    report_progress: Callable[[str, int], None],
) -> list[dict[str, Any]]:
    """Return a record for each (side, precision); ``report_progress`` is called with the next step and the number of finished turns."""
    name = f"{settings['network']}, batch {settings['batch']}"
    with ExitStack() as stack:
        workers, records = [], []
        for side, precision in sides:
            report_progress(f"{name}: {side} {precision} starts", 0)
            worker = stack.enter_context(Worker(pythons[side], side, {**settings, "precision": precision}))
            records.append({
                "network": settings["network"], "batch": settings["batch"], "side": side, "precision": precision,
                **worker.answer(),
            })  # fmt: skip
            workers.append(worker)
        _compare_sizes(records)
        for repeat in range(repeats):
            for mode in reversed(MODES):  # prediction first: what a training leaves in memory is not its own
                for i in range(len(sides)):
                    place = (i + repeat) % len(sides)  # none is always first
                    side, precision = sides[place]
                    report_progress(f"{name}: {mode}, {side} {precision}, turn {repeat + 1} of {repeats}", 0)
                    _turn(workers[place], records[place], mode, seconds)
                    report_progress("", 1)
    return records


def _compare_sizes(records: list[dict[str, Any]]) -> None:
    """Mark a side of collidekit as failed if its network has another size than weaver's."""
    theirs = [record["parameters"] for record in records if record["side"] == "weaver" and not record["failure"]]
    if not theirs:
        return
    for record in records:
        ours = record["side"] == "collidekit" and not record["failure"]
        if ours and not same_size(record["parameters"], theirs[0]):
            record["failure"] = f"has {record['parameters']:,} parameters, weaver's has {theirs[0]:,}"


def _turn(worker: Worker, record: dict[str, Any], mode: str, seconds: float) -> None:
    """Run a turn unless the side has failed; the first failure of a mode ends its turns."""
    if record["failure"]:
        return
    entry = record.setdefault(mode, {"jets_per_second": [], "steps": [], "memory": 0.0, "flops": 0.0, "failure": None})
    if entry["failure"]:
        return
    found = worker.measure(mode, seconds)
    if found["failure"]:
        entry["failure"] = found["failure"]
        return
    entry["jets_per_second"].append(found["jets"] / found["seconds"])
    entry["steps"].append(found["steps"])
    entry["memory"] = max(entry["memory"], found["memory"])
    entry["flops"] = found["flops"]
