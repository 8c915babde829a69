"""The marker of an output in a store: a list of its files with their checksums, written after all files."""

import hashlib
import json
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from collidekit.errors import CollidekitError
from collidekit.lease import user_name
from collidekit.sealed import as_written, check_seal, read_as, seal

MARKER = "stored.json"
TEMPORARY = re.compile(r"\..+\.part(\.\w+)?")


@dataclass(frozen=True)
class Entry:
    """Size and checksum of a file of an output."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Marker:
    """The files of a complete output in a store, below the folder ``content``."""

    content: str
    """Name of the folder, a hash of the checksums of all files."""
    files: dict[str, Entry]
    by: str = ""

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.files.values())

    def written(self) -> bytes:
        return (json.dumps(seal(asdict(self)), indent=1) + "\n").encode()


@dataclass(frozen=True)
class StateMarker(Marker):
    """The files of an unfinished training in a store."""

    step: int = 0
    """Number of optimizer steps in this state."""


Kind = TypeVar("Kind", bound=Marker)


def marker_of(folder: Path) -> Marker:
    """Return the marker of the output in a folder; reads every file to compute its checksum."""
    files = {
        name: Entry(path.stat().st_size, sha256_of(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and (name := path.relative_to(folder).as_posix()) != MARKER
        and not TEMPORARY.fullmatch(path.name)
    }
    text = json.dumps({name: [entry.size, entry.sha256] for name, entry in files.items()}, sort_keys=True)
    content = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Marker(content, files, f"{user_name()} on {platform.node()}")


def read_marker(where: str, text: bytes, remedy: str, kind: type[Kind] = Marker) -> Kind:  # type: ignore[assignment]
    """Return the marker in a text; raise CollidekitError if it is damaged or names files outside its folder."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CollidekitError(f"{where}: is damaged ({' '.join(str(error).split())[:120]}); {remedy}") from None
    with as_written(where, remedy):
        marker = read_as(kind, check_seal(where, content, remedy))
        for name in (marker.content, *marker.files):
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or not name:
                raise ValueError(f"{name!r} is not the name of a file in its folder")
    return marker


def sha256_of(path: Path) -> str:
    """Return the SHA-256 checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
