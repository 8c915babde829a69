"""Program of a job: ``python -m collidekit.tasks.work TrainingTask --epochs 3`` runs a task and its requirements."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from tempfile import TemporaryFile
from typing import Any

from luigi.task_register import Register

from collidekit.errors import CollidekitError
from collidekit.ranks.environment import without_launcher
from collidekit.tasks.base import AnalysisTask, run_with_requirements

NOT_FOR_JOBS = {"workflow", "log_file", "print_deps", "print_status", "print_output", "remove_output", "fetch_output"}
PARENT = "COLLIDEKIT_PARENT"
"""Environment variable with the id of the parent process; a part stops when its parent ends."""
PAUSE = 0.1
"""Seconds between two checks of the processes."""


def words_of(task: AnalysisTask, **others: Any) -> tuple[str, ...]:
    """Return the command-line words of a task: its name and every parameter that is not at its default."""
    words: list[str] = [task.get_task_family()]
    for name, parameter in task.get_params():
        if name in NOT_FOR_JOBS:
            continue
        value = others.get(name, getattr(task, name))
        text = parameter.serialize(value)
        if not parameter.has_task_value(task.get_task_family(), name) or text != parameter.serialize(
            parameter.task_value(task.get_task_family(), name)
        ):
            words += [f"--{name.replace('_', '-')}", text]
    return tuple(words)


def task_of(words: list[str]) -> AnalysisTask:
    """Return the task from the words of ``words_of``."""
    import collidekit.tasks.compare
    import collidekit.tasks.export
    import collidekit.tasks.grid
    import collidekit.tasks.parts
    import collidekit.tasks.pipelines
    import collidekit.tasks.robustness
    import collidekit.tasks.search
    import collidekit.tasks.significance  # noqa: F401 - registers every task

    kind = Register.get_task_cls(words[0])  # type: ignore[no-untyped-call]
    parameters = dict(kind.get_params())
    names = [word.removeprefix("--").replace("-", "_") for word in words[1::2]]
    return kind(**{name: parameters[name].parse(text) for name, text in zip(names, words[2::2], strict=True)})  # type: ignore[no-any-return]


def run_side_by_side(tasks: Sequence[AnalysisTask], ranks: int = 0) -> None:
    """Run tasks in parallel processes, as many as there are processors; the first error stops all of them.

    ``ranks`` is the number of tasks that run at a time, each with its own GPU if there are GPUs.
    """
    left, running = list(tasks), list[PartProcess]()
    with ExitStack() as stack:
        while left or running:
            running = [process for process in running if not process.done()]
            while left and len(running) < (ranks or os.cpu_count() or 1):
                used = {process.device for process in running}
                device = next(number for number in range(len(running) + 1) if number not in used) if ranks else None
                running.append(PartProcess(words_of(left.pop(0)), device))
                stack.callback(running[-1].end)
            time.sleep(PAUSE)


class PartProcess:
    """A task in a child process; its output is shown only if it fails."""

    def __init__(self, words: Sequence[str], device: int | None = None) -> None:
        self.words, self.device = words, device
        self.log = TemporaryFile()  # noqa: SIM115 - closed by end
        environment = {**without_launcher(os.environ), PARENT: str(os.getpid()), **_with_device(device)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "collidekit.tasks.work", *words],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env=environment,
        )

    def done(self) -> bool:
        """Return whether the process has ended; raise a CollidekitError with its last line if it failed."""
        code = self.process.poll()
        if code:
            self.log.seek(max(self.log.seek(0, os.SEEK_END) - 8192, 0))
            lines = self.log.read().decode(errors="replace").strip().splitlines()
            last = lines[-1].removeprefix("error: ") if lines else "it wrote nothing"
            if code > 0:
                raise CollidekitError(last if lines else f"{self._name} ended with code {code}")
            raise CollidekitError(
                f"{self._name} was ended by {signal.Signals(-code).name} ({last[:200]}); finished work is kept, and the same command continues"
            )
        return code == 0

    @property
    def _name(self) -> str:
        part = dict(pairwise(self.words)).get("--part", "1/2")
        return f"part {part} of a {'construction' if self.words[0].startswith('Construction') else 'prediction'}"

    def end(self) -> None:
        """Stop the process if it is running."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self.log.close()


def _with_device(number: int | None) -> dict[str, str]:
    """Return the environment variable that selects one GPU; empty without GPUs or without a number."""
    import torch

    if number is None or not torch.cuda.is_available():
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    known = [name for name in visible if name] or [str(i) for i in range(torch.cuda.device_count())]
    return {"CUDA_VISIBLE_DEVICES": known[number % len(known)]}


def main(words: list[str]) -> int:
    """Run the task; a user error is one line and exit code 2."""
    from collidekit.signals import end_on_signals, end_with

    end_on_signals()
    if parent := os.environ.pop(PARENT, ""):
        end_with(int(parent))
    try:
        run_with_requirements(task_of(words))
    except CollidekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"stopped by {stop or 'Ctrl-C'}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
