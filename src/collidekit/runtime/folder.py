"""Reading of the folder of a bundle, with all checksums verified."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collidekit.errors import CollidekitError
from collidekit.runtime.schema import FORMAT, SCHEMA, Graph, Schema
from collidekit.sealed import read_sealed

REMEDY = "copy the bundle again, or export the model again"
LAYOUT = "generic"
"""The only layout that collidekit itself can run."""


def is_bundle(name: str | Path) -> bool:
    """Return whether a folder is a bundle."""
    try:
        return (Path(name) / SCHEMA).is_file()
    except OSError:  # a name that is too long
        return False


def all_bundles(names: Sequence[str]) -> bool:
    """Return whether all models are bundles; raise CollidekitError if only some of them are."""
    are = [is_bundle(name) for name in names]
    if any(are) and not all(are):
        other = names[are.index(False)]
        raise CollidekitError(
            f"{other}: is not a bundle, but {names[are.index(True)]} is; an ensemble must have only bundles or only checkpoints"
        )
    return all(are)


def read_schema(folder: Path) -> Schema:
    """Return the schema of a bundle; raise CollidekitError if it is missing, damaged or of another version."""
    path = folder / SCHEMA
    if not folder.is_dir():
        raise CollidekitError(f"{folder}: there is no such bundle; name the folder with {SCHEMA} in it")
    if not path.is_file():
        raise CollidekitError(f"{folder}: is not a bundle: it has no {SCHEMA}")
    content = read_sealed(path, REMEDY, always=True)
    _check_format(folder, content.get("format"))
    try:
        found = Schema.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CollidekitError(
            f"{path}: was made with another version of collidekit ({place}: {first['msg']}); {REMEDY}"
        ) from None
    if not found.graphs:
        raise CollidekitError(f"{path}: names no graph; {REMEDY}")
    return found


def read_generic(folder: Path) -> Schema:
    """Return the schema of a bundle of the generic layout; raise CollidekitError for another layout."""
    found = read_schema(folder)
    if found.layout != LAYOUT:
        raise CollidekitError(
            f"{folder}: its graphs have the layout {found.layout!r}, which only its own framework can run; collidekit can run only the "
            f"layout {LAYOUT!r}: export the model with that layout"
        )
    return found


def _check_format(folder: Path, form: Any) -> None:
    if not isinstance(form, int):
        raise CollidekitError(f"{folder / SCHEMA}: has no format number; {REMEDY}")
    if form > FORMAT:
        raise CollidekitError(
            f"{folder}: was made with a newer version of collidekit (format {form}, this version reads {FORMAT}); install a newer "
            "collidekit"
        )


def read_graph(folder: Path, graph: Graph) -> bytes:
    """Return the content of a graph, after a check of its size and checksum."""
    return read_checked(folder, folder / graph.file, graph.bytes, graph.sha256)


def read_checked(folder: Path, path: Path, size: int, checksum: str) -> bytes:
    """Return the content of a file in the folder of a bundle, after a check of its size and SHA-256 checksum."""
    if path.parent != folder or not path.is_file():
        raise CollidekitError(f"{path}: is missing; {REMEDY}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CollidekitError(f"{path}: cannot be read ({error.strerror or error}); {REMEDY}") from error
    if len(content) != size:
        raise CollidekitError(f"{path}: is damaged: it has {len(content):,} bytes, not {size:,}; {REMEDY}")
    if hashlib.sha256(content).hexdigest() != checksum:
        raise CollidekitError(f"{path}: is damaged or was changed: it does not have its checksum; {REMEDY}")
    return content
