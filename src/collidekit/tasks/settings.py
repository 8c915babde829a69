"""Parameters of tasks, generated from the types, defaults and help of settings classes."""

from typing import Any, get_origin

import luigi
from pydantic import BaseModel
from pydantic.fields import FieldInfo

PLAIN = ("from_checkpoint", "extend_training")
"""Settings that cannot be in an analysis file."""


class OptionalNumbers(luigi.OptionalStrParameter):
    """Parameter of numbers separated by commas."""


OPTIONAL: dict[Any, Any] = {
    str: luigi.OptionalStrParameter,
    float: luigi.OptionalFloatParameter,
    int: luigi.OptionalIntParameter,
    bool: luigi.OptionalBoolParameter,
}


def add_parameters(
    owner: type, settings: type[BaseModel], before: str = "", in_file: bool = False, of: str = ""
) -> None:
    """Add a parameter for each setting to a class; ``before`` is the prefix of names, ``of`` the prefix of help texts.

    A missing parameter is None. With ``in_file``, the help names the analysis file as source of the default.
    """
    for name, field in settings.model_fields.items():
        parameter = _parameter(name, field, in_file, of)
        setattr(owner, f"{before}{name}", parameter)
        parameter.__set_name__(owner, f"{before}{name}")


def _parameter(name: str, field: FieldInfo, in_file: bool, of: str) -> Any:
    text = f"{of}{field.description}"
    if get_origin(field.annotation) is dict:
        return luigi.DictParameter(default={}, description=text)
    if name == "extend_training":
        return luigi.IntParameter(default=field.default, description=text)
    if name in PLAIN:
        return luigi.OptionalStrParameter(default=None, description=text)
    default = _shown(field.default)
    text += f"; default: training of the analysis file, else {default}" if in_file else f"; default: {default}"
    if isinstance(field.default, tuple) and field.default:
        return OptionalNumbers(default=None, description=text)
    kind = OPTIONAL.get(field.annotation, luigi.OptionalStrParameter)  # a choice of texts is a text
    return kind(default=None, description=text)


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or "none"
    return "none" if default == "" else str(default)
