"""``python -m collidekit.tasks.work TrainingTask --epochs 3``: run one task and what it needs, as a job does."""

import sys
from typing import Any

from luigi.task_register import Register

from collidekit.errors import CollidekitError
from collidekit.tasks.base import AnalysisTask, run_with_requirements

NOT_FOR_JOBS = {"workflow", "log_file", "print_deps", "print_status", "print_output", "remove_output", "fetch_output"}


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
    import collidekit.tasks.export
    import collidekit.tasks.grid
    import collidekit.tasks.pipelines
    import collidekit.tasks.robustness
    import collidekit.tasks.search
    import collidekit.tasks.significance  # noqa: F401 - registers every task

    kind = Register.get_task_cls(words[0])  # type: ignore[no-untyped-call]
    parameters = dict(kind.get_params())
    names = [word.removeprefix("--").replace("-", "_") for word in words[1::2]]
    return kind(**{name: parameters[name].parse(text) for name, text in zip(names, words[2::2], strict=True)})  # type: ignore[no-any-return]


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
