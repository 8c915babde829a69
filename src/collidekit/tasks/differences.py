"""Differences between the settings of two outputs."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.files import read_json

SHOWN, LONGEST = 5, 60
"""Largest number of shown settings, and of characters of a value."""


def differences(folder: Path, identity: Mapping[str, Any]) -> str:
    """Return a line on the newest output beside a folder and its different settings; empty if there is none."""
    beside = [run for run in folder.parent.glob("*/run.json") if run.parent != folder]
    for run in sorted(beside, key=lambda run: -run.stat().st_mtime)[:1]:
        try:
            other = dict(flat(read_json(run)["settings"]))
        except (CollidekitError, KeyError, TypeError, AttributeError):
            return ""
        own = dict(flat(json.loads(json.dumps(identity, default=str))))
        changed = [name for name in {**other, **own} if other.get(name) != own.get(name)]
        if all(_is_hash(side.get(name)) for name in changed for side in (other, own)):
            return ""  # the outputs that it is made from differ, and they say how
        listed = [f"{name} {short_value(other.get(name))} -> {short_value(own.get(name))}" for name in changed[:SHOWN]]
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        if listed:
            return f"different settings than in {run.parent.name}: {'; '.join(listed)}{more}"
    return ""


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{10}", value) is not None


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
