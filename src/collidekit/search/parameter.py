"""One entry of a space file: a list of values or a range, validated, and its distribution for optuna."""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from attrs import asdict, frozen
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.extras import need

Number = StrictInt | Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Range(BaseModel):
    """The keys of a range in a space file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: Number
    high: Number
    log: Annotated[bool, Field(strict=True)] = False
    """Draw on a logarithmic scale."""
    step: Number | None = None
    points: Annotated[int, Field(strict=True, ge=2, le=1000)] | None = None
    """Values of a grid, from ``low`` to ``high``."""


@frozen
class Parameter:
    """A setting that the search varies: ``values``, or a range of integers or real numbers."""

    name: str
    where: str
    """File and line, for messages."""
    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    points: int | None = None
    integer: bool = False

    @property
    def is_range(self) -> bool:
        return not self.values

    def as_dict(self) -> dict[str, Any]:
        """Return the definition of the parameter, for JSON."""
        if self.values:
            return {"values": list(self.values)}
        found = asdict(self, filter=lambda field, value: field.name not in ("name", "where", "values", "points"))
        return {key: value for key, value in found.items() if value not in (None, False)} | {
            "low": self.low,
            "high": self.high,
        }

    def distribution(self) -> Any:
        """Return the distribution of optuna; values of a list are drawn by their JSON text."""
        of = need("optuna", "search").distributions
        if self.values:
            return of.CategoricalDistribution([json.dumps(value) for value in self.values])
        if self.integer:
            return of.IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return of.FloatDistribution(float(self.low), float(self.high), log=self.log, step=self.step)

    def value(self, drawn: Any) -> Any:
        """Return the value of the setting for a value drawn by optuna."""
        return json.loads(drawn) if self.values else drawn

    def drawn(self, value: Any) -> Any:
        """Return the value in optuna for a value of the setting."""
        return json.dumps(value) if self.values else value

    def limits(self) -> list[Any]:
        """Return the values to check before the first training: all of a list, both limits of a range."""
        return list(self.values) or [self.low, self.high]

    def grid(self) -> list[Any]:
        """Return the values of a grid; raise an error for a range without ``step`` and ``points``."""
        if self.values:
            return list(self.values)
        if self.points:
            space = np.geomspace if self.log else np.linspace
            found = [float(value) for value in space(self.low, self.high, self.points)]
            found[0], found[-1] = float(self.low), float(self.high)  # geomspace rounds
            return list(dict.fromkeys(round(value) for value in found)) if self.integer else found
        if self.step or self.integer:
            step = self.step or 1
            count = math.floor((self.high - self.low) / step + 1e-9) + 1
            return [self.low + i * step for i in range(count)]
        raise CollidekitError(
            f"{self.where}: {self.name}: a grid needs values: write a list, or add 'points: 5' or 'step: ...' to low and high"
        )


def read_parameter(name: str, entry: Any, where: str, numbers: type | None) -> Parameter:
    """Return one entry of a space file; ``numbers`` is the type of a numeric setting, None if it is not known."""
    place = f"{where}: {name}"
    if isinstance(entry, list):
        return Parameter(name, where, values=_values(entry, place))
    if isinstance(entry, Mapping) and "values" in entry:
        if extra := next((key for key in entry if key != "values"), None):
            raise CollidekitError(
                f"{place}: {extra!r} cannot be combined with values; give a list, or a range with low and high"
            )
        if not isinstance(entry["values"], list):
            raise CollidekitError(f"{place}: values must be a list, such as [1, 2], got {entry['values']!r}")
        return Parameter(name, where, values=_values(entry["values"], place))
    if not isinstance(entry, Mapping):
        raise CollidekitError(
            f"{place}: must be a list such as [1, 2] or a range such as {{low: 0.001, high: 0.1, log: true}}, got {entry!r}"
        )
    try:
        found = Range.model_validate(dict(entry))
    except ValidationError as error:
        raise CollidekitError(f"{place}: {_describe(error)}") from None
    return _range(name, where, found, numbers)


def _describe(error: ValidationError) -> str:
    unknown = (found for found in error.errors() if found["type"] == "extra_forbidden")
    first = next(unknown, error.errors()[0])  # a missing key may be a misspelt one
    key, known = str(first["loc"][0]), list(Range.model_fields)
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}{did_you_mean(key, known)}; a range has {', '.join(known)}"
    if first["type"] == "missing":
        return f"{key} is required: write a list, or a range such as {{low: 0.001, high: 0.1, log: true}}"
    hint = " (YAML reads 1e-3 as text: write 0.001 or 1.0e-3)" if isinstance(first["input"], str) else ""
    return f"{key}: {first['msg']}, got {first['input']!r}{hint}"


def _values(values: list[Any], place: str) -> tuple[Any, ...]:
    if not values:
        raise CollidekitError(f"{place}: the list is empty; give at least two values")
    try:
        texts = [json.dumps(value, allow_nan=False) for value in values]
    except (TypeError, ValueError):
        raise CollidekitError(f"{place}: values must be numbers, texts, true, false, or lists of them") from None
    for i, value in enumerate(values):
        if texts[i] in texts[:i] or any(value == other and type(value) is not bool for other in values[:i]):
            raise CollidekitError(f"{place}: the value {value!r} stands twice")
    if len(values) < 2:
        raise CollidekitError(f"{place}: has only one value; give more, or set it for all trials with --set")
    return tuple(values)


def _range(name: str, where: str, found: Range, numbers: type | None) -> Parameter:
    place = f"{where}: {name}"
    given = [value for value in (found.low, found.high, found.step) if value is not None]
    whole = all(isinstance(value, int) for value in given)
    if numbers is int and not whole:
        raise CollidekitError(f"{place}: is an integer setting; write low, high and step without a decimal point")
    integer = whole if numbers is None else numbers is int
    if found.low >= found.high:
        raise CollidekitError(f"{place}: the range from low {found.low} to high {found.high} is empty; give low < high")
    if found.log and found.low <= 0:
        raise CollidekitError(f"{place}: a log range needs low above 0, got {found.low}; leave 'log' out, or raise low")
    if found.step is not None and found.step <= 0:
        raise CollidekitError(f"{place}: step must be above 0, got {found.step}")
    if found.step is not None and found.log:
        raise CollidekitError(f"{place}: step and log cannot be combined; give points for a logarithmic grid")
    if found.step is not None and found.points is not None:
        raise CollidekitError(f"{place}: step and points cannot be combined; give one of them")
    if found.step is not None and found.step > found.high - found.low:
        raise CollidekitError(f"{place}: step {found.step} is longer than the range from {found.low} to {found.high}")
    if found.step is not None:
        steps = (found.high - found.low) / found.step
        if abs(steps - round(steps)) > 1e-6:
            top = found.low + math.floor(steps) * found.step
            raise CollidekitError(
                f"{place}: high {found.high} is not reached in steps of {found.step}; write high: {top:g}"
            )
    kind = int if integer else float
    low, high = kind(found.low), kind(found.high)
    step = None if found.step is None else kind(found.step)
    return Parameter(name, where, low=low, high=high, log=found.log, step=step, points=found.points, integer=integer)
