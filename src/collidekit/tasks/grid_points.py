"""Points of a grid from texts such as ``model_options.width=32,64`` and ``epochs=5,10``."""

import json
from collections.abc import Sequence
from itertools import product
from typing import Any

import luigi

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.tasks.training import TrainingSettings
from collidekit.training.config import TrainingConfig

OPTIONS = "model_options"
REFUSED = {
    "seed": "give --seeds",
    **dict.fromkeys(
        ("train_val_split", "folds", "fold", "fold_rule", "n_train_files"),
        "the points would be compared on different validation rows",
    ),
    "extend_training": "give epochs instead",
}
MOST_POINTS = 1000
OPENING, CLOSING = "[{(", "]})"


def parse_over(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of each setting; raise an error for unknown settings, and wrong, repeated or missing values."""
    found: dict[str, list[Any]] = {}
    for text in (part for given in texts for part in _split(given, ";")):
        name, equals, values = (part.strip() for part in text.partition("="))
        first, dot, option = name.partition(".")
        name = first.replace("-", "_") + dot + option
        if not equals or not name:
            raise CollidekitError(f"--over {text!r}: write it as name=value,value, such as --over epochs=5,10")
        _check_name(name)
        if name in found:
            raise CollidekitError(f"--over {name}: is repeated; give all values in one list")
        parts = _split(values, ",")
        if not parts or any(not part for part in parts):
            raise CollidekitError(f"--over {text!r}: a value is empty; give values separated by commas")
        found[name] = [_value(name, part) for part in parts]
        for i, value in enumerate(found[name]):
            if value in found[name][:i]:
                raise CollidekitError(f"--over {name}: the value {value!r} is repeated")
    if not found:
        raise CollidekitError("--over: is empty; give at least one setting, such as --over epochs=5,10")
    if OPTIONS in found and (option := next((name for name in found if name.startswith(f"{OPTIONS}.")), "")):
        raise CollidekitError(f"--over {option}: is also given by {OPTIONS}; give only one of them")
    return found


def points_of(over: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return all combinations of values; the last setting changes fastest."""
    return [dict(zip(over, values, strict=True)) for values in product(*over.values())]


def _check_name(name: str) -> None:
    known = list(TrainingConfig.model_fields)
    first, dot, option = name.partition(".")
    if dot and (first != OPTIONS or not option):
        raise CollidekitError(f"--over {name}: only options of the network are written with a dot: {OPTIONS}.width")
    if first not in known:
        raise CollidekitError(f"--over {name}: there is no setting {first!r}{did_you_mean(first, known)}")
    if name in REFUSED:
        raise CollidekitError(f"--over {name}: cannot be compared here: {REFUSED[name]}")


def _value(name: str, text: str) -> Any:
    """Return a value with the type of its setting; values of network options are JSON or text."""
    if name.startswith(f"{OPTIONS}."):
        try:
            return json.loads(text)
        except ValueError:
            return text
    if name == "betas":
        text = text.strip("[]() ")
    parameter: luigi.Parameter = getattr(TrainingSettings, name)
    try:
        return parameter.parse(text)  # type: ignore[no-untyped-call]
    except (CollidekitError, ValueError, TypeError) as error:
        reason = (
            str(error).partition(": ")[2] if isinstance(error, CollidekitError) else f"{text!r} is not a valid value"
        )
        raise CollidekitError(f"--over {name}: {reason}") from None


def _split(text: str, mark: str) -> list[str]:
    """Split a text at marks outside brackets."""
    if not text.strip():
        return []
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in OPENING) - (letter in CLOSING)
        if letter == mark and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    found = [part.strip() for part in parts]
    return [part for part in found if part] if mark == ";" else found
