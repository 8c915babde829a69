"""Local copies of remote files, in the folder given by the environment variable COLLIDEKIT_CACHE.

The name of a copy is a hash of the URL, then size, modification time and name of the file. A file beside it holds the
URL; the process that copies locks this file.
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
"""Bytes to copy at a time."""


@dataclass(frozen=True)
class CachedFile:
    """A copy of a remote file; the name of an incomplete copy ends with ``.part``."""

    url: str
    path: Path
    size: int


def cached_files() -> list[CachedFile]:
    """Return all copies of remote files, also incomplete ones; empty if COLLIDEKIT_CACHE is not set."""
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
    """Return the URL in the note of a copy; empty if the file is not such a note."""
    try:
        url = note.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return url if "://" in url and _key(url) == note.stem else ""


def cache_folder() -> Path | None:
    named = os.environ.get("COLLIDEKIT_CACHE")
    return Path(named).expanduser().absolute() if named else None


def find(url: str, status: Status) -> Path | None:
    """Return the copy that matches the current status of the file on the server."""
    path = _place(url, status)
    return path if path and path.exists() else None


def newest(url: str) -> Status | None:
    """Return size and modification time of the newest copy of this URL."""
    if not (folder := cache_folder()):
        return None
    paths = [path for path in folder.glob(f"{_key(url)}-*") if path.suffix != ".part"]
    if not paths:
        return None
    _, size, modified, _ = max(paths, key=lambda path: path.stat().st_mtime).name.split("-", 3)
    return Status(int(size), int(modified))


def fetch(url: str, status: Status) -> Path | None:
    """Return the copy of a file, and make or complete it if needed; None if COLLIDEKIT_CACHE is not set."""
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
    """Continue a copy where it was interrupted."""
    shown = status.size > CHUNK and parent_process() is None  # only the main process writes to the terminal
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
    """Lock a copy, so that one process makes it and others wait."""
    import fcntl  # not available on Windows

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
    """Return a URL without secrets: parameters, which may hold a token, user and password."""
    protocol, _, rest = url.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{protocol}://{host.rpartition('@')[2]}{slash}{path}"
