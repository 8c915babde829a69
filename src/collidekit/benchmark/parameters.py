"""Parameters that a participant sets for each run: their types, and values that are checked against them."""

# ruff: noqa: RUF012 - pydantic copies the defaults

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from collidekit.benchmark.parts import NAME, Part, inside, repeated
from collidekit.errors import CollidekitError, did_you_mean

LONGEST = 100_000
"""Characters of a value, written as JSON."""
LARGEST = sys.float_info.max


class Parameter(Part):
    """A value that a participant sets for each run."""

    name: str = Field(pattern=NAME)
    label: str = ""
    type: Literal["string", "int", "float", "bool", "select", "file", "list", "record", "actor"] = "string"
    default: Any = None
    required: bool = False
    choices: list[str] = []
    """The values of a ``select``."""
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    help: str = ""

    @model_validator(mode="after")
    def _keys_act(self) -> Self:
        """Every key that is given has an effect, and the default is a value of the type."""
        if (self.type == "select") != bool(self.choices):
            raise ValueError("choices are needed for the type select, and for no other")
        if twice := repeated(self.choices):
            raise ValueError(f"choice {twice!r} stands twice")
        if self.type not in ("int", "float") and (self.minimum, self.maximum) != (None, None):
            raise ValueError(f"minimum and maximum are for the types int and float, not {self.type}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {show_number(self.minimum)} is above maximum {show_number(self.maximum)}")
        if self.required and self.default is not None:
            raise ValueError("a required parameter needs no default; leave one of them out")
        if self.default is not None and self.type != "actor":
            check_value(self, self.default)
        return self


def check_value(parameter: Parameter, value: Any) -> Any:
    """Return a value of the type of a parameter; ``ValueError`` in one sentence for any other."""
    name, kind = parameter.name, parameter.type
    wanted = {"string": "text", "file": "a path inside the submission", "select": "one of its choices", "bool": "true or false",
              "int": "a whole number", "float": "a finite number", "list": "a list", "record": "names with values",
              "actor": "an image and a command"}[kind]  # fmt: skip
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
    good = {
        "string": isinstance(value, str),
        "file": isinstance(value, str),
        "select": isinstance(value, str),
        "bool": isinstance(value, bool),
        "int": is_number and float(value).is_integer(),
        "float": is_number,
        "list": isinstance(value, list),
        "record": isinstance(value, dict),
        "actor": isinstance(value, dict | list),
    }[kind]
    if not good:
        raise ValueError(f"parameter {name!r} is {_shown(value)}, and {wanted} is needed")
    if kind == "select" and value not in parameter.choices:
        close = did_you_mean(value, parameter.choices) or f"; choices are {', '.join(parameter.choices)}"
        raise ValueError(f"parameter {name!r} has no choice {value!r}{close}")
    if kind == "file":
        inside(value)
    if parameter.minimum is not None and value < parameter.minimum:
        raise ValueError(
            f"parameter {name!r} is {show_number(value)}, below its minimum {show_number(parameter.minimum)}"
        )
    if parameter.maximum is not None and value > parameter.maximum:
        raise ValueError(
            f"parameter {name!r} is {show_number(value)}, above its maximum {show_number(parameter.maximum)}"
        )
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError(f"parameter {name!r} holds something that is no JSON, such as a date or NaN") from None
    if len(text) > LONGEST:
        raise ValueError(f"parameter {name!r} has more than {LONGEST:,} characters")
    return int(value) if kind == "int" else float(value) if kind == "float" else value


def checked_values(parameters: Sequence[Parameter], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a value for each parameter that has one: the given one, else the default.

    Raises CollidekitError for an unknown or missing parameter and for a value of another type; ``where`` begins the message.
    """
    known = [parameter.name for parameter in parameters]
    for name in given:
        if name not in known:
            close = did_you_mean(str(name), known) or (
                f"; there are {', '.join(known)}" if known else "; there are none"
            )
            raise CollidekitError(f"{where}: the benchmark has no parameter {name!r}{close}")
    found = {}
    for parameter in parameters:
        value = given.get(parameter.name, parameter.default)
        if value is None and parameter.required:
            raise CollidekitError(
                f"{where}: parameter {parameter.name!r} is required ({parameter.label or parameter.type})"
            )
        if value is not None:
            try:
                found[parameter.name] = check_value(parameter, value)
            except ValueError as error:
                raise CollidekitError(f"{where}: {error}") from None
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def show_number(value: float) -> str:
    """Return a number with all its digits and no others: ``2147483647``, ``0.1``."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e16 else repr(float(value))
