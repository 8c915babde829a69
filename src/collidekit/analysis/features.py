"""The typed feature: one description for loading, scaling, attacks, plots and exports."""

import re
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from collidekit.analysis.labels import Label, drawable


class Strict(BaseModel):
    """A part of a file written by users: unknown keys are errors, and values cannot be changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    @field_validator("*", mode="before")
    @classmethod
    def _no_flags(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse True and False as numbers and names."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, dict) and isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return value  # this model checks its own values
        kind = str(annotation)
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        if any(isinstance(part, bool) for part in parts) and not re.search(r"\bbool\b|\bAny\b", kind):
            raise wrong("must be a number" if re.search(r"float|int", kind) else "must not be true or false")
        return value


def wrong(message: str, *place: str | int) -> PydanticCustomError:
    """Return an error for a place below the current model, so that the line of this place can be named."""
    return PydanticCustomError("wrong", "{message}", {"message": message, "place": place})


def _identifier(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"{name!r} is not a name: use letters, digits and _, and do not begin with a digit")
    return name


def _unit(unit: str) -> str:
    """Return the unit if it can be drawn on the axis of a plot."""
    try:
        return drawable(unit)
    except ValueError as error:
        raise ValueError(f"the unit {error}") from None


Unit = Annotated[str, AfterValidator(_unit)]
Name = Annotated[str, AfterValidator(_identifier)]
Kind = Literal["continuous", "integer", "flag"]
Scaling = Literal["standard", "robust", "none"]
Bound = Annotated[float, PlainSerializer(lambda bound: bound if isfinite(bound) else str(bound), when_used="json")]
"""JSON has no infinity, so infinite bounds are written as text."""


class Feature(Strict):
    """One input column of a network.

    ``default`` means "missing". It replaces NaN and infinity (0 if no default is given), is left out of the scaling and
    is never changed by an attack. ``bounds`` clip the raw value; one of them may be infinite.
    """

    name: Name
    expression: str = ""
    label: Label | None = None
    """The label in plots and tables; the default is the name. Text between two $ is LaTeX."""
    unit: Unit = ""
    kind: Kind = "continuous"
    default: FiniteFloat | None = None
    bounds: tuple[Bound, Bound] | None = None
    attackable: bool = True
    scaling: Scaling = "standard"

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        """Convert ``part_pt`` to ``{name: part_pt}``; the default expression of a feature is its name."""
        if isinstance(data, str):
            data = {"name": data}
        if isinstance(data, dict) and "expression" not in data and isinstance(data.get("name"), str):
            data = {**data, "expression": data["name"]}
        return data

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "Feature":
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            raise ValueError(f"bounds {list(self.bounds)} must be [low, high] with low < high")
        return self

    @property
    def fill(self) -> float:
        """The value that replaces NaN and infinity."""
        return 0.0 if self.default is None else self.default

    @property
    def axis(self) -> str:
        """The text of a plot axis: label and unit."""
        if self.label and self.unit.startswith("log "):  # a label such as log(pT / GeV) is complete
            return self.label
        return with_unit(self.label or self.name, self.unit)


def with_unit(label: str, unit: str) -> str:
    """Return the text of an axis, such as ``jet mass [GeV]``; a logarithm has no unit, so ``log GeV`` is written in brackets."""
    if unit.startswith("log "):
        return f"{label} (log of {unit.removeprefix('log ')})"
    return f"{label} [{unit}]" if unit else label


Fraction = Annotated[float, Field(gt=0, lt=1)]
