"""What a user types for a parameter: a wrong value is one line, and one that does nothing is refused."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import law
import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.task_register import Register

from collidekit.errors import CollidekitError


def checked(option: str, parameter: luigi.Parameter) -> luigi.Parameter:
    """The same parameter, whose ``parse`` says in one line what is wrong with a value, under the name of the option."""
    if not hasattr(parameter.parse, "original"):
        parameter.parse = _checked(option, parameter, parameter.parse)  # type: ignore[method-assign]
    return parameter


def _checked(option: str, parameter: Any, parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def checked_parse(text: str) -> Any:
        try:
            return parse(text)
        except (ValueError, TypeError) as error:
            raise CollidekitError(f"--{option}: {text!r} is {_wanted(parameter, error)}") from None

    checked_parse.original = parse  # type: ignore[attr-defined]
    return checked_parse


def _wanted(parameter: Any, error: Exception) -> str:
    if isinstance(parameter, luigi.BoolParameter):
        return "not True or False"
    if isinstance(parameter, luigi.IntParameter):
        return "not a whole number"
    if isinstance(parameter, luigi.FloatParameter):
        return "not a number"
    if isinstance(parameter, luigi.DictParameter):
        said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        return f"not JSON ({said}): write it as '{{\"name\": value}}', with double quotes inside single ones"
    return f"not a valid value ({error})"


def refuse_empty(root: law.Task) -> None:
    """Raise an error for ``--epochs ''``: luigi would take it for an option that is not given."""
    parser = CmdlineParser.get_instance()  # type: ignore[no-untyped-call]
    for name, parameter in root.get_params() if parser else ():
        if vars(parser.known_args).get(name) == "" and parameter.significant:
            raise CollidekitError(f"--{name.replace('_', '-')}: the value is empty; give a value or leave the option out")


def refuse_unused_prefixes(root: law.Task) -> None:
    """Raise an error for ``--TrainingTask-epochs`` and the like on a command line where that task does not get the value.

    A task hands its own parameters on to the tasks that it needs; a parameter that names one of these tasks acts only
    where nothing is handed on, or where this is foreseen (``prefer_params_cli``).
    """
    given = list(_prefixed())
    if not given:
        return
    tasks = [root, *(task for task, _, _ in root.walk_deps())]
    for family, name, value in given:
        mine = [task for task in tasks if task.get_task_family() == family]
        option = f"--{family}-{name.replace('_', '-')}"
        if not mine:
            raise CollidekitError(
                f"{option}: {root.get_task_family()} does not need {family}, so this has no effect; leave it out"
            )
        if any(getattr(task, name) != value for task in mine):
            raise CollidekitError(
                f"{option}: has no effect here, because {root.get_task_family()} passes its own --{name.replace('_', '-')} on; use that option"
            )


def _prefixed() -> Iterator[tuple[str, str, Any]]:
    """Task, parameter and value of what is given on the command line of law for one task."""
    parser = CmdlineParser.get_instance()  # type: ignore[no-untyped-call]
    if parser is None:
        return
    known = vars(parser.known_args)
    for family, without_section, name, parameter in Register.get_all_params():  # type: ignore[no-untyped-call]
        text = known.get(f"{family}_{name}")
        if without_section or not text:
            continue
        if issubclass(Register.get_task_cls(family), law.Task):  # type: ignore[no-untyped-call]
            yield family, name, parameter.parse(str(text))
