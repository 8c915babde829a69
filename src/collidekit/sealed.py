"""JSON that collidekit writes and reads back: a checksum in it, and one clear error where it is not as it was written."""

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
"""What to do about an output of a task."""

_KEY = "checksum"


def text_checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of what goes to JSON, without the checksum itself."""
    kept = {name: value for name, value in content.items() if name != _KEY}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """A content with the checksum of all that it says."""
    kept: dict[str, Any] = plain(dict(content))
    return {**kept, _KEY: text_checksum(kept)}


def write_sealed(path: Path, content: Mapping[str, Any]) -> Path:
    """Write JSON with a checksum in it."""
    return write_json(path, seal(content))


def read_sealed(path: Path, remedy: str = AGAIN, always: bool = False) -> dict[str, Any]:
    """Read what ``write_sealed`` wrote, without its checksum; ``remedy`` says what to do where it is damaged.

    A file of an earlier version has no checksum and is taken as it is, unless it must ``always`` be there.
    """
    content = read_json(path, remedy)
    if not isinstance(content, dict):
        raise _damaged(path, "it is no record", remedy)
    if always and _KEY not in content:
        raise _damaged(path, "it has no checksum", remedy)
    return check_seal(path, content, remedy)


def check_seal(path: Path | str, content: dict[str, Any], remedy: str) -> dict[str, Any]:
    """Return a content without its checksum, which must be right where there is one."""
    if _KEY in content and content[_KEY] != text_checksum(content):
        raise _damaged(path, "its content does not have the stored checksum", remedy)
    return {name: value for name, value in content.items() if name != _KEY}


def read_as(kind: type[Kind], content: Any) -> Kind:
    """A dataclass from what JSON has of it; a ``ValueError`` where a field is missing or of another type."""
    return TypeAdapter(kind).validate_python(content)


@contextmanager
def as_written(path: Path | str, remedy: str = AGAIN) -> Iterator[None]:
    """Within the block a file of our own is used: what is missing in it or is of another kind is one clear error."""
    try:
        yield
    except KeyError as error:
        raise _damaged(path, f"it has no {error}", remedy) from None
    except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RecursionError, csv.Error) as error:
        said = " ".join(str(error).split())[:160]
        raise _damaged(path, f"{type(error).__name__}: {said}", remedy) from None


def _damaged(path: Path | str, what: str, remedy: str) -> CollidekitError:
    return CollidekitError(f"{path}: is damaged or was changed by hand ({what}); {remedy}")
