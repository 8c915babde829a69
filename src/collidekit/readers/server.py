"""Requests to servers of remote files: size and modification time, globs, and retries after failures."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from collidekit.progress import notice
from collidekit.readers.base import BadFileError, LostServerError, bad_file, check, server_of
from collidekit.readers.xrootd import FINAL, trouble

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds to wait before each further try; there is no try after the last one."""

PATIENCE = 50.0
"""Seconds after which no further try starts."""

T = TypeVar("T")


@dataclass(frozen=True)
class Status:
    """Size and modification time of a remote file, which show whether it has changed."""

    size: int
    modified: int
    """Seconds since 1970; 0 if the server does not provide it."""


def status(url: str) -> Status:
    """Return size and modification time of a remote file; a missing or empty file, or a folder, is an error."""
    check(url)
    try:
        server, inside = server_of(url)
        info = server.info(inside)
    except Exception as error:
        raise bad_file(url, error) from error
    if info.get("type") == "directory":
        raise BadFileError(f"{url}: {FINAL[3016]}")
    if info["size"] == 0:
        raise BadFileError(f"{url}: is empty (0 bytes); write it again or leave it out")
    modified = info.get("mtime")
    return Status(int(info["size"] or 0), int(modified) if isinstance(modified, int | float) else 0)


def is_glob(url: str) -> bool:
    """Return whether a URL is a glob; a host may be ``[::1]``, and the part after ``?`` is for the server."""
    return _has_magic(url.partition("?")[0].partition("://")[2].partition("/")[2])


def _has_magic(path: str) -> bool:
    return "*" in path or "[" in path


def matches(pattern: str) -> list[str]:
    """Return the files on a server that match a glob, as sorted URLs."""
    check(pattern)
    glob, mark, parameters = pattern.partition("?")
    protocol, _, rest = glob.partition("://")
    host, *parts = rest.split("/")
    try:
        server, _ = server_of(glob)
        return sorted(path + mark + parameters for path in _below(server, f"{protocol}://{host}", parts))
    except Exception as error:
        raise bad_file(pattern, error) from error


def _below(server: Any, folder: str, parts: list[str]) -> Iterator[str]:
    """Yield the files below a folder whose path matches a glob; only folders that match are listed."""
    first, *rest = parts
    if rest and not _has_magic(first):
        yield from _below(server, f"{folder}/{first}", rest)
        return
    if first == "**":
        yield from _below(server, folder, rest or ["*"])
    for name, is_folder in _listed(server, folder):
        path = f"{folder}/{name}"
        if name.startswith(".") and not first.startswith("."):
            continue
        if first == "**" and is_folder:
            yield from _below(server, path, parts)
        elif first != "**" and fnmatchcase(name, first):
            if rest and is_folder:
                yield from _below(server, path, rest)
            elif not rest and not is_folder:
                yield path


def _listed(server: Any, folder: str) -> list[tuple[str, bool]]:
    """Return the name of each entry of a folder, and whether it is a folder; empty if the folder does not exist."""
    try:
        entries = server.ls(server._strip_protocol(folder), detail=True)
    except Exception as error:
        if (found := trouble(error)) and found.final == FINAL[3011]:
            return []
        raise
    return [(entry["name"].rstrip("/").rsplit("/", 1)[-1], entry["type"] == "directory") for entry in entries]


def forget(url: str) -> None:
    """Close the file that fsspec keeps open, because it can never be read again after its server was lost."""
    import fsspec

    with suppress(Exception):  # any answer of the lost server
        server, inside = fsspec.core.url_to_fs(url)
        server.invalidate_cache(inside)


def trying(what: str, action: Callable[[], T]) -> T:
    """Return the result of an action; if the server is lost, try again for about a minute in total."""
    begun, tries, pauses = time.monotonic(), 0, iter(PAUSES)
    while True:
        try:
            return action()
        except LostServerError as error:
            tries, seconds, pause = tries + 1, time.monotonic() - begun, next(pauses, math.inf)
            if seconds + pause > PATIENCE:
                raise LostServerError(
                    f"{what}: the server failed {tries} times in {seconds:.0f} s ({error.said}); "
                    "check that it is running and reachable, then run the same command again",
                    error.said,
                ) from OSError(error.said)
            if tries == 1:
                notice(f"{what}: the server fails ({error.said}); trying again for up to {PATIENCE:.0f} s")
        except BadFileError as error:
            raise BadFileError(str(error)) from None  # without an OSError as its cause, because another try cannot help
        time.sleep(pause)
