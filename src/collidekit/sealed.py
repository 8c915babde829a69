"""JSON files with a checksum inside, and a clear error if the content has changed."""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from collidekit.errors import CollidekitError
from collidekit.files import plain, read_json, write_json

Kind = TypeVar("Kind")

AGAIN = "remove the folder and run the same command again"
"""Advice for a damaged output of a task."""

_KEY = "checksum"


def text_checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 checksum of a content as JSON, without the checksum itself."""
    kept = {name: value for name, value in content.items() if name != _KEY}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a content with its checksum."""
    kept: dict[str, Any] = plain(dict(content))
    return {**kept, _KEY: text_checksum(kept)}


def write_sealed(path: Path, content: Mapping[str, Any]) -> Path:
    """Write JSON with its checksum."""
    return write_json(path, seal(content))


def read_sealed(path: Path, remedy: str = AGAIN, always: bool = False) -> dict[str, Any]:
    """Read a file of ``write_sealed`` without its checksum; ``remedy`` is the advice if it is damaged.

    Files of earlier versions have no checksum and are accepted, unless ``always`` requires it.
    """
    content = read_json(path, remedy)
    if not isinstance(content, dict):
        raise _damaged(path, "it is not a table", remedy)
    if always and _KEY not in content:
        raise _damaged(path, "it has no checksum", remedy)
    return check_seal(path, content, remedy)


def check_seal(path: Path | str, content: dict[str, Any], remedy: str) -> dict[str, Any]:
    """Return a content without its checksum; raise CollidekitError if there is one and it is wrong."""
    if _KEY in content and content[_KEY] != text_checksum(content):
        raise _damaged(path, "its content does not have the stored checksum", remedy)
    return {name: value for name, value in content.items() if name != _KEY}


def read_as(kind: type[Kind], content: Any) -> Kind:
    """Return a dataclass from its JSON content; raise ValueError if a field is missing or has another type."""
    return TypeAdapter(kind).validate_python(content)


@contextmanager
def as_written(path: Path | str, remedy: str = AGAIN) -> Iterator[None]:
    """Convert exceptions about missing or wrong content of a file in this block into a CollidekitError."""
    try:
        yield
    except KeyError as error:
        raise _damaged(path, f"it has no {error}", remedy) from None
    except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RecursionError, csv.Error) as error:
        said = " ".join(str(error).split())[:160]
        raise _damaged(path, f"{type(error).__name__}: {said}", remedy) from None


def _damaged(path: Path | str, what: str, remedy: str) -> CollidekitError:
    return CollidekitError(f"{path}: is damaged or was changed by hand ({what}); {remedy}")
