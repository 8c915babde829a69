"""Checks of parameters on the command line: wrong values and options without effect are one-line errors."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import law
import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.task_register import Register

from collidekit.errors import CollidekitError


def checked(option: str, parameter: luigi.Parameter) -> luigi.Parameter:
    """Return the parameter with a ``parse`` that raises a one-line error with the name of the option."""
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
        text = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        return f"not JSON ({text}): write it as '{{\"name\": value}}', with double quotes inside single ones"
    return f"not a valid value ({error})"


def refuse_empty(root: law.Task) -> None:
    """Raise an error for an empty value such as ``--epochs ''``, which luigi would ignore."""
    parser = CmdlineParser.get_instance()  # type: ignore[no-untyped-call]
    for name, parameter in root.get_params() if parser else ():
        if vars(parser.known_args).get(name) == "" and parameter.significant:
            raise CollidekitError(
                f"--{name.replace('_', '-')}: the value is empty; give a value or leave the option out"
            )


def refuse_unused_prefixes(root: law.Task) -> None:
    """Raise an error for options such as ``--TrainingTask-epochs`` that have no effect.

    A task passes its own parameters on to the tasks that it needs. An option of one of these tasks has an effect only
    for parameters that are not passed on, or that are in ``prefer_params_cli``.
    """
    given = list(_prefixed())
    if not given:
        return
    tasks = [root, *(task for task, _, _ in root.walk_deps())]
    for family, name, value in given:
        matching = [task for task in tasks if task.get_task_family() == family]
        option = f"--{family}-{name.replace('_', '-')}"
        if not matching:
            raise CollidekitError(
                f"{option}: {root.get_task_family()} does not need {family}, so this has no effect; leave it out"
            )
        if any(getattr(task, name) != value for task in matching):
            raise CollidekitError(
                f"{option}: has no effect here, because {root.get_task_family()} passes its own --{name.replace('_', '-')} on; use that option"
            )


def _prefixed() -> Iterator[tuple[str, str, Any]]:
    """Yield task, parameter and value of each option of a single task on the command line of law."""
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
