"""Read and check weaver's data configuration, including weaver's defaults."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collidekit.analysis.load import Lines, parse_yaml
from collidekit.errors import CollidekitError

_KEYS = (
    "treename", "branch_magic", "file_magic", "selection", "test_time_selection", "preprocess", "new_variables", "inputs", "labels",
    "observers", "monitor_variables", "weights", "bucketing",
)  # fmt: skip


@dataclass(frozen=True)
class Var:
    """A variable of an input. weaver transforms it to clip((x - center) * scale, low, high); without a center it is unchanged."""

    name: str
    center: float | None
    scale: float
    low: float
    high: float
    automatic: bool = False
    """True if weaver computes center and scale from the data."""


@dataclass(frozen=True)
class WeaverInput:
    """An input: at most ``length`` members with their variables."""

    name: str
    length: int
    vars: list[Var]


@dataclass
class DataFile:
    """A data configuration; ``not_converted`` has one message for each part that cannot be converted."""

    path: Path
    content: dict[str, Any]
    lines: Lines
    inputs: dict[str, WeaverInput] = field(default_factory=dict)
    not_converted: list[str] = field(default_factory=list)

    def report(self, what: str, *place: str | int) -> None:
        """Add a message for a part that cannot be converted, with its line."""
        self.not_converted.append(f"{self.lines.at(place)}: {what}")

    def names(self, key: str) -> list[str]:
        """Return the list of names of a key; empty without the key."""
        value = self.content.get(key) or []
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise CollidekitError(f"{self.lines.at((key,))}: {key} must be a list of names")
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        """Return the mapping of a key; empty without the key."""
        value = self.content.get(key) or {}
        if not isinstance(value, dict):
            raise CollidekitError(f"{self.lines.at((key,))}: {key} must be a mapping: one name with its value per line")
        return value


def is_data_file(content: Any) -> bool:
    """Return whether the content of a YAML file is a data configuration of weaver."""
    return isinstance(content, dict) and isinstance(content.get("inputs"), dict) and "labels" in content


def read_data_file(path: Path) -> DataFile:
    """Read a data configuration. Raises CollidekitError with the line of an error."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CollidekitError(f"{path}: cannot be read as a text file ({error})") from None
    content, lines = parse_yaml(text, str(path), "a data configuration of weaver")
    if not is_data_file(content):
        raise CollidekitError(f"{path}: is not a data configuration of weaver: it has no inputs and labels")
    file = DataFile(path, content, lines)
    for key in content:
        if key not in _KEYS:
            file.report(f"{key}: unknown key", key)
    for key, reason in (
        ("branch_magic", "branches keep their names"),
        ("file_magic", "variables computed from the name of a file have no counterpart"),
        ("bucketing", "batches hold rows of any length without padding"),
    ):
        if content.get(key):
            file.report(f"{key}: {reason}", key)
    for name, entry in content["inputs"].items():
        file.inputs[name] = _read_input(file, name, entry)
    return file


def _read_input(file: DataFile, name: str, entry: Any) -> WeaverInput:
    where = file.lines.at(("inputs", name))
    listed = entry.get("vars") if isinstance(entry, dict) else None
    if not isinstance(listed, list) or not listed:
        raise CollidekitError(f"{where}: {name} has no vars; write a list of names")
    length = entry.get("length")
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise CollidekitError(f"{where}: length of {name} must be a positive integer, not {length!r}")
    return WeaverInput(name, length, [_read_var(file, name, i, var) for i, var in enumerate(listed)])


def _read_var(file: DataFile, name: str, i: int, var: Any) -> Var:
    parts = var if isinstance(var, list) else [var]
    where = file.lines.at(("inputs", name, "vars", i))
    if not parts or not isinstance(parts[0], str) or len(parts) > 6:
        raise CollidekitError(f"{where}: {var!r} must be a name, or [name, subtract, multiply, min, max, pad]")
    preprocess = file.mapping("preprocess")
    auto = str(preprocess.get("method", "manual")).lower().startswith("auto")
    known = (preprocess.get("params") or {}).get(parts[0])
    if isinstance(known, dict):  # weaver wrote this file with the computed center and scale
        parts = [
            parts[0],
            *(known.get(key, default) for key, default in (("center", None), ("scale", 1), ("min", -5), ("max", 5))),
        ]
    given = dict(enumerate(parts))
    center = given.get(1, "auto" if auto else None)
    automatic = center == "auto"
    scale, low, high = (_number(given.get(place, default), where) for place, default in ((2, 1), (3, -5), (4, 5)))
    if not low < high:
        raise CollidekitError(f"{where}: {parts[0]}: the minimum {low:g} must be below the maximum {high:g}")
    return Var(parts[0], None if automatic or center is None else _number(center, where), scale, low, high, automatic)


def _number(value: Any, where: str) -> float:
    """Return a number, also from text such as 1e-3, which YAML does not read as a number."""
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not math.isfinite(number):
        raise CollidekitError(f"{where}: {value!r} must be a number")
    return number
