"""Copies of remote files, in the folder that the environment variable COLLIDEKIT_CACHE names.

A copy is called by a hash of the url, then size, time of change and name of the file. Beside it lies a file with the
url, which is locked by the process that copies.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path

from collidekit.errors import CollidekitError
from collidekit.progress import counting
from collidekit.readers import server
from collidekit.readers.base import BadFileError, UrlFile, bad_file
from collidekit.readers.server import Status, trying

CHUNK = 16 << 20
"""Bytes that are copied at a time."""


@dataclass(frozen=True)
class CachedFile:
    """A copy of a remote file; one that is not complete yet ends with ``.part``."""

    url: str
    path: Path
    size: int


def cached_files() -> list[CachedFile]:
    """All copies of remote files, also those that are not complete; none if COLLIDEKIT_CACHE is not set."""
    found = []
    for note in sorted(folder.glob("*.url")) if (folder := cache_folder()) else []:
        url = _noted(note)
        copy = re.compile(rf"{note.stem}-\d+-\d+-{re.escape(_name(url))}(\.part)?")
        for path in sorted(note.parent.glob(f"{note.stem}-*")) if url else ():
            if not copy.fullmatch(path.name):
                continue
            with suppress(FileNotFoundError):
                found.append(CachedFile(url, path, path.stat().st_size))
    return found


def _noted(note: Path) -> str:
    """The url of a note that a copy of ours has; an empty text for a file that only ends like one."""
    try:
        url = note.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return url if "://" in url and _key(url) == note.stem else ""


def cache_folder() -> Path | None:
    named = os.environ.get("COLLIDEKIT_CACHE")
    return Path(named).expanduser().absolute() if named else None


def find(url: str, status: Status) -> Path | None:
    """The copy of a file as it is on the server now."""
    path = _place(url, status)
    return path if path and path.exists() else None


def newest(url: str) -> Status | None:
    """Size and time of change of the file that was copied last from this url."""
    if not (folder := cache_folder()):
        return None
    paths = [path for path in folder.glob(f"{_key(url)}-*") if path.suffix != ".part"]
    if not paths:
        return None
    _, size, modified, _ = max(paths, key=lambda path: path.stat().st_mtime).name.split("-", 3)
    return Status(int(size), int(modified))


def fetch(url: str, status: Status) -> Path | None:
    """The copy of a file, made or completed now if need be; None if COLLIDEKIT_CACHE is not set."""
    path = _place(url, status)
    if not path or path.exists():
        return path
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_name(f"{_key(url)}.url"), url):
            if not path.exists():
                trying(f"{url}: copying", lambda: _complete(url, status, part))
                part.replace(path)
    except OSError as error:
        raise CollidekitError(f"{path}: cannot be written ({error.strerror or error})") from error
    return path


def _complete(url: str, status: Status, part: Path) -> None:
    """Copy a file from where an interrupted copy ended."""
    shown = status.size > CHUNK and parent_process() is None  # workers leave the terminal to the process above them
    bar = counting(f"Copying {_name(url)}", "MiB", status.size >> 20, shown)
    with part.open("ab") as target, bar as done:
        done(target.tell() >> 20)
        for content in _chunks(url, target.tell(), status.size):
            before = target.tell()
            target.write(content)
            done((target.tell() >> 20) - (before >> 20))
    if server.status(url) != status or part.stat().st_size != status.size:
        part.unlink()
        raise BadFileError(f"{url}: has changed while it was copied; run the same command again")


def _chunks(url: str, start: int, stop: int) -> Iterator[bytes]:
    try:
        with UrlFile(url) as source:
            source.seek(start)
            while start < stop and (content := source.read(min(CHUNK, stop - start))):
                yield content
                start += len(content)
    except Exception as error:
        raise bad_file(url, error) from error


@contextmanager
def _alone(note: Path, url: str) -> Iterator[None]:
    """One process at a time copies a file, others wait for it."""
    import fcntl  # Windows has none

    with note.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if not file.read():
            file.write(_address(url))
            file.flush()
        yield


def _place(url: str, status: Status) -> Path | None:
    folder = cache_folder()
    return folder / f"{_key(url)}-{status.size}-{status.modified}-{_name(url)}" if folder else None


def _name(url: str) -> str:
    return _address(url).rsplit("/", 1)[-1][-100:]


def _key(url: str) -> str:
    return hashlib.blake2b(_address(url).encode(), digest_size=10).hexdigest()


def _address(url: str) -> str:
    """A url without what must not be written down: parameters, which may hold a token, user and password."""
    protocol, _, rest = url.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{protocol}://{host.rpartition('@')[2]}{slash}{path}"
