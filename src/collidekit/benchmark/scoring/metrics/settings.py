"""Settings of metrics: their defaults, and what they may be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from collidekit.errors import CollidekitError, did_you_mean


class WrongSetting(ValueError):
    """Condition that a setting must satisfy."""


@dataclass(frozen=True)
class Setting:
    """A setting with its default; ``check`` returns the value, or raises WrongSetting with what it must be."""

    default: Any
    check: Callable[[Any], Any]


def number(low: float, high: float, what: str) -> Callable[[Any], float]:
    """Return a check for a number between two limits, both excluded."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < high:
            raise WrongSetting(what)
        return float(value)

    return check


def one_of(*choices: str) -> Callable[[Any], str]:
    """Return a check for one of some words."""

    def check(value: Any) -> str:
        if value not in choices:
            raise WrongSetting("one of " + ", ".join(choices))
        return str(value)

    return check


def flag(value: Any) -> bool:
    """Check for true or false."""
    if not isinstance(value, bool):
        raise WrongSetting("true or false")
    return value


def whole(value: Any) -> int:
    """Check for a number of bins."""
    if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= 1000:
        raise WrongSetting("a whole number from 2 to 1000")
    return value


def text(value: Any) -> str:
    """Check for a name."""
    if not isinstance(value, str):
        raise WrongSetting("a name")
    return value


def names(value: Any) -> list[str]:
    """Check for a name or a list of names."""
    found = [value] if isinstance(value, str) and value else value
    if found == "":
        return []
    if not isinstance(found, list | tuple) or not all(isinstance(name, str) for name in found):
        raise WrongSetting("a name or a list of names")
    return list(found)


def groups(value: Any) -> list[list[str]]:
    """Check for a list of lists of names."""
    if not isinstance(value, list | tuple):
        raise WrongSetting("a list of lists of names")
    return [names(list(group) if isinstance(group, tuple) else group) for group in value]


def groups_of_groups(value: Any) -> list[list[list[str]]]:
    """Check for a list of sets of exchangeable groups of names, each of the same length."""
    found = [groups(group) for group in value] if isinstance(value, list | tuple) else None
    if found is None or any(len({len(group) for group in several}) != 1 for several in found):
        raise WrongSetting("a list of sets of groups of names, the groups of a set of the same length")
    return found


def check_settings(metric: str, given: Mapping[str, Any], known: Mapping[str, Setting]) -> dict[str, Any]:
    """Return all settings of a metric, the given ones checked; raises CollidekitError for one that is unknown or wrong."""
    for name in given:
        if name not in known:
            there = f"it has {', '.join(known)}" if known else "it has none"
            raise CollidekitError(f"metric {metric} has no setting {name!r}{did_you_mean(name, list(known))}; {there}")
    found = {}
    for name, setting in known.items():
        if name not in given and setting.default is None:
            raise CollidekitError(f"metric {metric} needs the setting {name!r}")
        value = given.get(name, setting.default)
        try:
            found[name] = setting.check(value)
        except WrongSetting as error:
            raise CollidekitError(f"metric {metric}: {name} must be {error}, not {value!r}") from None
    return found
