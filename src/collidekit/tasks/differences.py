"""What differs between the settings of two outputs."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.files import read_json

SHOWN, LONGEST = 5, 60
"""Settings that are named, and letters of each value."""


def differences(folder: Path, identity: Mapping[str, Any]) -> str:
    """A line on the last output beside a folder that is made with other settings; empty where there is none."""
    beside = [run for run in folder.parent.glob("*/run.json") if run.parent != folder]
    for run in sorted(beside, key=lambda run: -run.stat().st_mtime)[:1]:
        try:
            theirs = dict(flat(read_json(run)["settings"]))
        except (CollidekitError, KeyError, TypeError, AttributeError):
            return ""
        mine = dict(flat(json.loads(json.dumps(identity, default=str))))
        changed = [name for name in {**theirs, **mine} if theirs.get(name) != mine.get(name)]
        listed = [
            f"{name} {short_value(theirs.get(name))} -> {short_value(mine.get(name))}" for name in changed[:SHOWN]
        ]
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        if listed:
            return f"beside {run.parent.name}, which differs in: {'; '.join(listed)}{more}"
    return ""


def flat(settings: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting of nested settings with its path, such as ``config.epochs``."""
    if not isinstance(settings, Mapping):
        yield above, settings
        return
    for name, value in settings.items():
        yield from flat(value, f"{above}.{name}" if above else str(name))


def short_value(value: Any) -> str:
    """Return a value as a short text."""
    text = "none" if value is None else " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
