"""Removal of whole output folders for ``--remove-output`` of law, because tasks write more files than their targets."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import law
import typer
from law.task.interactive import _parse_stopping_condition
from law.util import flag_to_bool, multi_match

from collidekit.errors import CollidekitError
from collidekit.files import one_at_a_time
from collidekit.outputs.removal import remove_folder

if TYPE_CHECKING:
    from collidekit.tasks.base import AnalysisTask

MODES = {"i": "interactive", "a": "all", "d": "dry"}


def remove_outputs(task: "AnalysisTask", depth: Any = 0, mode: str = "i", run: Any = False) -> bool:
    """Remove the outputs of a task and its requirements up to ``depth``; return whether to run the task afterwards."""
    mode = mode or "i"
    if mode not in MODES:
        raise CollidekitError(f"--remove-output: there is no mode {mode!r}; known are {', '.join(MODES)}")
    most, families = _parse_stopping_condition(depth)
    seen = set()
    for other, needed, _ in task.walk_deps(max_depth=most, order="pre"):
        if families and multi_match(other.task_family, families, mode=any):
            needed.clear()
        if isinstance(other, law.WrapperTask) or other.place in seen:
            continue
        seen.add(other.place)
        places = _places(other)
        if not places:
            other.say(f"absent: {other.place}")
        elif mode == "d":
            other.say(f"would be removed: {places}")
        elif mode == "a" or typer.confirm(f"remove {places}?"):
            _remove(other)
    return bool(flag_to_bool(run))


def _places(task: "AnalysisTask") -> str:
    """Return where the output is: in the results folder, in a store, or both; empty if it does not exist."""
    here = [str(task.place)] if task.place.exists() else []
    return " and ".join([*here, task.stored.url] if task.stored and task.stored.complete else here)


def _remove(task: "AnalysisTask") -> None:
    with one_at_a_time(Path(task.lock)):
        if task.stored and task.stored.remove():
            task.say(f"removed: {task.stored.url}")
        if task.place.exists():
            _remove_here(task)


def _remove_here(task: "AnalysisTask") -> None:
    from collidekit.tasks.base import results_folder

    results = results_folder()
    place = task.place.relative_to(results)
    if task.place.resolve() != results.resolve() / place or not task.place.is_dir():
        raise CollidekitError(f"{task.place}: is behind a link, so it is not removed; remove it yourself")
    try:
        remove_folder(task.place, results)
    except OSError as error:
        raise CollidekitError(f"{task.place}: cannot be removed ({error.strerror or error})") from error
    task.say(f"removed: {task.place}")
