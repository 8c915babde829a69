"""``python -m collidekit.tasks.work TrainingTask --epochs 3``: run one task and what it needs, as a job does."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import Any

from luigi.task_register import Register

from collidekit.errors import CollidekitError
from collidekit.tasks.base import AnalysisTask, run_with_requirements

NOT_FOR_JOBS = {"workflow", "log_file", "print_deps", "print_status", "print_output", "remove_output", "fetch_output"}
PAUSE = 0.1
"""Seconds between two looks at processes."""


def words_of(task: AnalysisTask, **others: Any) -> tuple[str, ...]:
    """Return the words that make the same task again: its name and every parameter that is not at its default."""
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
    """Return the task of such words."""
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


def run_side_by_side(tasks: Sequence[AnalysisTask]) -> None:
    """Run tasks in processes of their own, as many at a time as there are processors; the first error ends all of them."""
    left, running = list(tasks), list[_Process]()
    with ExitStack() as stack:
        while left or running:
            running = [process for process in running if not process.done()]
            while left and len(running) < (os.cpu_count() or 1):
                running.append(_Process(left.pop(0)))
                stack.callback(running[-1].end)
            time.sleep(PAUSE)


class _Process:
    """A task in a process of its own; what it says is shown only if it fails."""

    def __init__(self, task: AnalysisTask) -> None:
        self.log = TemporaryFile()  # noqa: SIM115 - closed by end
        words = [sys.executable, "-m", "collidekit.tasks.work", *words_of(task)]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def done(self) -> bool:
        """Return whether it has ended; CollidekitError with the last line that it said where it failed."""
        code = self.process.poll()
        if code:
            self.log.seek(max(self.log.seek(0, os.SEEK_END) - 8192, 0))
            lines = self.log.read().decode(errors="replace").strip().splitlines()
            raise CollidekitError(lines[-1].removeprefix("error: ") if lines else f"a process ended with {code}")
        return code == 0

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self.log.close()


def main(words: list[str]) -> int:
    """Run the task; a user error is one line and exit code 2, as in the command."""
    from collidekit.signals import end_on_signals

    end_on_signals()
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
