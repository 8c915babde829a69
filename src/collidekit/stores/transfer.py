"""Upload and download of the files of an output. Files that have arrived are not transferred again."""

import shutil
from functools import partial
from pathlib import Path

from collidekit.errors import CollidekitError
from collidekit.files import is_own
from collidekit.progress import counting
from collidekit.readers.server import trying
from collidekit.stores.copies import Copy
from collidekit.stores.marker import Entry, Marker, sha256_of
from collidekit.stores.server import Advance, Server, StoreError


def upload(server: Server, content: str, folder: Path, marker: Marker, shown: bool = True) -> None:
    """Upload the files of a folder to a folder of the store, except files that are there with the right size."""
    with counting(f"Storing {folder.name}", "MiB", marker.size >> 20, shown) as done:
        for name, entry in marker.files.items():
            path, advance = f"{content}/{name}", _in_mebibytes(done)
            if trying(server.at(path), partial(server.size, path)) == entry.size:
                advance(entry.size)
                continue
            trying(server.at(path), partial(server.put, folder / name, path, advance))


def download(server: Server, content: str, marker: Marker, folder: Path, remedy: str) -> Path:
    """Download all files into a hidden folder beside ``folder``, verify their checksums, and return the hidden folder.

    Files that an interrupted process has verified there are kept.
    """
    staging = folder.with_name(f".{folder.name}.{marker.content}.fetched")
    try:
        for other in folder.parent.glob(f".{folder.name}.*.fetched"):
            if other != staging and is_own(other):
                shutil.rmtree(other)
        staging.mkdir(parents=True, exist_ok=True)
        with counting(f"Fetching {folder.name}", "MiB", marker.size >> 20) as done:
            for name, entry in marker.files.items():
                advance = _in_mebibytes(done)
                if (staging / name).is_file():
                    advance(entry.size)
                    continue
                (staging / name).parent.mkdir(parents=True, exist_ok=True)
                _fetch_file(server, f"{content}/{name}", entry, staging / name, advance, remedy)
        Copy(staging).note(marker)
    except OSError as error:
        raise CollidekitError(f"{staging}: cannot be written ({error.strerror or error})") from error
    return staging


def _fetch_file(server: Server, path: str, entry: Entry, target: Path, advance: Advance, remedy: str) -> None:
    """Download a file, from where an interrupted process stopped; it gets its name when its checksum is right."""
    part = target.with_name(f".{target.name}.part")
    for _ in range(2):  # the part of an interrupted process may be wrong
        trying(server.at(path), partial(_append, server, path, entry, part, advance))
        if part.stat().st_size == entry.size and sha256_of(part) == entry.sha256:
            part.replace(target)
            return
        part.unlink()
    raise StoreError(
        f"{server.at(path)}: is damaged: it does not have the SHA-256 checksum of the stored file; {remedy}"
    )


def _append(server: Server, path: str, entry: Entry, part: Path, advance: Advance) -> None:
    with part.open("ab") as file:
        advance(file.tell())
        for chunk in server.chunks(path, file.tell(), entry.size):
            file.write(chunk)
            advance(len(chunk))


def _in_mebibytes(done: Advance) -> Advance:
    """Return a function that takes numbers of bytes and advances a progress bar in MiB."""
    total = 0

    def add(size: int) -> None:
        nonlocal total
        before, total = total, total + size
        done((total >> 20) - (before >> 20))

    return add
