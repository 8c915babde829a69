"""Parameters of ROB and flowserv as parameters of a benchmark."""

from math import isfinite
from typing import Any

from collidekit.errors import CollidekitError, did_you_mean

TYPES = ("string", "int", "float", "bool", "select", "file", "list", "record", "actor")
ALIASES = {"decimal": "float", "enum": "select"}
KEYS = (
    "name",
    "label",
    "dtype",
    "defaultValue",
    "index",
    "help",
    "isRequired",
    "required",
    "group",
    "range",
    "values",
    "target",
    "para",
    "fields",
)


def old_parameter(entry: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a parameter of flowserv under our keys; CollidekitError for a type or key that flowserv does not have."""
    name = str(entry.get("name", ""))
    if not name:
        raise CollidekitError(f"{where}: a parameter has no name")
    for key in entry:
        if key not in KEYS:
            raise CollidekitError(f"{where}: {name}: unknown key {key!r}{did_you_mean(key, KEYS)}")
    kind = ALIASES.get(str(entry.get("dtype")), str(entry.get("dtype")))
    if kind not in TYPES:
        raise CollidekitError(
            f"{where}: {name}: {kind!r} is no type of parameters{did_you_mean(kind, TYPES) or '; types are ' + ', '.join(TYPES)}"
        )
    found: dict[str, Any] = {"name": name, "type": kind}
    for key, old in (("label", "label"), ("help", "help"), ("default", "defaultValue")):
        if entry.get(old) is not None:
            found[key] = entry[old]
    if entry.get("isRequired", entry.get("required")) and "default" not in found:
        found["required"] = True
    if "range" in entry:
        found |= _range(str(entry["range"]), f"{where}: {name}")
    if kind == "select":
        values = entry.get("values") or []
        found["choices"] = [str(value["value"] if isinstance(value, dict) else value) for value in values]
        chosen = [str(value["value"]) for value in values if isinstance(value, dict) and value.get("isDefault")]
        if chosen and "default" not in found:
            found["default"] = chosen[0]
    return found


def _range(text: str, where: str) -> dict[str, float]:
    """Return the limits of an interval such as ``[0,10]``; open ends are refused, as they cannot be kept."""
    left, comma, right = text.strip().partition(",")
    if not comma or left[:1] not in "[(" or right[-1:] not in "])":
        raise CollidekitError(f"{where}: range {text!r} is no interval, such as [0,10]")
    try:
        low, high = float(left[1:] or "-inf"), float(right[:-1] or "inf")
    except ValueError:
        raise CollidekitError(f"{where}: range {text!r} is no interval, such as [0,10]") from None
    for bracket, value in ((left[0], low), (right[-1], high)):
        if bracket in "()" and isfinite(value):
            raise CollidekitError(f"{where}: range {text!r} is open at {value:g}, which cannot be kept; write [ and ]")
    return {key: value for key, value in (("minimum", low), ("maximum", high)) if isfinite(value)}
