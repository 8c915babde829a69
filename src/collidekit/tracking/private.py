"""Text for trackers and warnings without passwords and without folders outside the results."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collidekit.tracking.base import relative

_USER = re.compile(r"(?<=://)\S*@")  # up to the last @: a password may hold one, or a slash
_SECRET = re.compile(r"(?i)\b([\w-]*(?:password|passwd|pwd|token|secret|key|sig|signature))=[^&\s'\"]+")


def without_secrets(text: str) -> str:
    """Return the text with user names, passwords and tokens of URIs replaced by stars."""
    return _SECRET.sub(r"\1=***", _USER.sub("***@", text))


def public_settings(settings: Mapping[str, Any], results: Path) -> dict[str, Any]:
    """Return the settings of a training with flat names, such as ``model_options.width``, and plain values.

    Paths below the results folder become relative to it. Any other absolute path is reduced to its last part.
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if name == "model_options":
            found |= {f"{name}.{key}": _plain(option, results) for key, option in value.items()}
        else:
            found[name] = _plain(value, results)
    return found


def _plain(value: Any, results: Path) -> Any:
    """Return numbers and flags as they are, text without private paths, anything else as JSON."""
    value = _public(value, results)
    return value if isinstance(value, str | int | float) or value is None else json.dumps(value, default=str)


def _public(value: Any, results: Path) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _public(item, results) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_public(item, results) for item in value]
    if isinstance(value, str | Path):
        return _public_text(str(value), results)
    return value


def _public_text(text: str, results: Path) -> str:
    if text.startswith(("/", "~")):
        return relative(Path(text), results) or Path(text).name
    return without_secrets(text)
