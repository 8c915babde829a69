"""What a network may learn besides the classes of rows: a kind each, told apart by its keys in the analysis file."""

from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, FiniteFloat, Tag, field_validator, model_validator

from collidekit.analysis.features import Name, Strict, Unit

Expression = Annotated[str, Field(min_length=1)]
Scale = Literal["standard", "robust", "log", "none"]
Loss = Literal["huber", "mse", "mae"]


def as_text(value: Any) -> Any:
    """A bare number in YAML is a valid expression."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def as_texts(value: Any) -> Any:
    """``as_text`` of each entry of a mapping."""
    return {key: as_text(item) for key, item in value.items()} if isinstance(value, dict) else value


class Kind(Strict):
    """What all targets have; none of them is needed for prediction."""

    weight: Annotated[FiniteFloat, Field(ge=1e-6, le=1e6)] = 1.0
    """What its loss is multiplied by."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        """Checkpoints of earlier versions write the key that a target does not have, as null or empty."""
        return {key: value for key, value in data.items() if _is_given(key, value)} if isinstance(data, dict) else data


class MemberClasses(Kind):
    """What each constituent of a collection is."""

    collection: Name
    classes: dict[Name, Expression]
    """A condition for each class of constituents; those of no class are not learned from."""

    _texts = field_validator("classes", mode="before")(as_texts)

    @model_validator(mode="after")
    def _several(self) -> "MemberClasses":
        if len(self.classes) < 2:
            raise ValueError("needs at least two classes")
        return self


class SameOrigin(Kind):
    """Which constituents of a collection come from one place, such as a vertex."""

    collection: Name
    same: Expression
    """An integer for each constituent that pairs of the same origin share; a negative one is of none."""

    _text = field_validator("same", mode="before")(as_text)


class Regression(Kind):
    """Numbers of each row, such as a momentum: the network gives an estimate of each."""

    values: Annotated[dict[Name, Expression], Field(min_length=1)]
    """The truth of each number. Rows in which one is NaN or infinite are not learned from by this target."""
    unit: Unit = ""
    """Of all the values."""
    scale: Scale = "standard"
    """What is learned: standard, (x - mean) / standard deviation; robust, (x - median) / half the range of the 16th to 84th
    percentile; log, the standard scale of log x; none, x itself. Predictions are in the unit, whatever the scale."""
    loss: Loss = "huber"
    """Of the scaled difference d: huber, d^2 / 2 up to 1 and |d| - 1/2 beyond; mse, d^2; mae, |d|. The mean over all values."""

    _texts = field_validator("values", mode="before")(as_texts)


MemberTarget = MemberClasses | SameOrigin

_KINDS: dict[str, type[Kind]] = {"classes": MemberClasses, "same": SameOrigin, "values": Regression}
KINDS: dict[str, type[Kind]] = {kind.__name__: kind for kind in _KINDS.values()}


def _is_given(key: str, value: Any) -> bool:
    return key not in _KINDS or (value is not None and value != {})


def _kind(entry: Any) -> str:
    """The kind of a target, by its keys; nothing where they are not those of one kind."""
    if isinstance(entry, Kind):
        return type(entry).__name__
    keys = [key for key, value in entry.items() if _is_given(key, value)] if isinstance(entry, dict) else []
    found: list[str] = [key for key in _KINDS if key in keys]
    if not found:  # such as smae: for same:
        found = [close[0] for key in keys if key != "collection" and (close := get_close_matches(str(key), _KINDS, 1))]
    return _KINDS[found[0]].__name__ if len(found) == 1 else ""


Target = Annotated[
    Annotated[MemberClasses, Tag("MemberClasses")]
    | Annotated[SameOrigin, Tag("SameOrigin")]
    | Annotated[Regression, Tag("Regression")],
    Discriminator(
        _kind,
        custom_error_type="target",
        custom_error_message="needs one of 'classes', 'same' (of constituents) or 'values' (of rows)",
    ),
]
