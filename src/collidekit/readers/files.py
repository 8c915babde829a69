"""Lists of input files: globs, lists, URLs; and the identity of a file."""

import glob
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from collidekit.errors import CollidekitError
from collidekit.readers.base import check, is_url
from collidekit.readers.protocols import check_protocol
from collidekit.readers.remote import known_status
from collidekit.readers.server import is_glob, matches, trying

MEGABYTE = 1 << 20
MOST_FILES = 1_000_000
LONGEST_LINE = 1 << 16
"""Largest number of bytes in a line of a list of files."""


def expand(patterns: Sequence[str] | str, ask_servers: bool = True) -> list[str]:
    """Return the files that match patterns, in the order of the patterns; files of one glob are sorted.

    A pattern is a path or a URL, a glob of them (``data/*.root``, ``**`` for all folders below), or a ``.txt`` file with
    one pattern per line (``#`` begins a comment; paths are relative to the list). A pattern without a match and a file
    that is given twice are errors. Without ``ask_servers``, a glob in a URL is returned as it is.
    """
    paths: list[str] = []
    said: dict[str, str] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        in_list = pattern.endswith(".txt") and not is_url(pattern)
        found = _listed(pattern, ask_servers) if in_list else _matched(pattern, ask_servers)
        for path, origin in found:
            file = path if is_url(path) else os.path.realpath(path)
            if file in said:
                raise CollidekitError(f"{path}: is given twice, by {said[file]} and by {origin}; give each file once")
            said[file] = origin
            paths.append(path)
    if not paths:
        raise CollidekitError("no files were given")
    return paths


def _matched(pattern: str, ask_servers: bool, origin: str = "") -> Iterator[tuple[str, str]]:
    """Yield each file of a pattern, and the place where it was named."""
    origin = origin or repr(pattern)
    if is_url(pattern):
        try:
            check_protocol(pattern)
        except CollidekitError as error:
            raise CollidekitError(f"{error}" + ("" if origin == repr(pattern) else f" (named in {origin})")) from None
        found = trying(pattern, lambda: matches(pattern)) if is_glob(pattern) and ask_servers else [pattern]
    else:
        pattern = os.path.expanduser(pattern)
        found = _local(pattern)
    if not found:
        what = "matches no file" if is_url(pattern) or glob.has_magic(pattern) else "there is no such file"
        raise CollidekitError(f"{pattern}: {what}" + ("" if origin == repr(pattern) else f" (named in {origin})"))
    for path in found:
        yield path, origin


def _local(pattern: str) -> list[str]:
    if os.path.exists(pattern):  # also a file with * or [ in its name
        if os.path.isdir(pattern):
            check(pattern)
        return [pattern]
    if "**" in pattern and not os.path.abspath(pattern.partition("**")[0] or ".").strip(os.sep):
        raise CollidekitError(f"{pattern}: would search the whole disk; give the folder of the files")
    found = list(
        islice((path for path in glob.iglob(pattern, recursive=True) if not os.path.isdir(path)), MOST_FILES + 1)
    )
    if len(found) > MOST_FILES:
        raise CollidekitError(f"{pattern}: matches more than {MOST_FILES:,} files; use a pattern with fewer matches")
    return sorted(found)


def _listed(path: str, ask_servers: bool) -> Iterator[tuple[str, str]]:
    """Yield each file of a list of files."""
    check(path)
    for number, line in enumerate(_lines(path), 1):
        if entry := line.split("#")[0].strip():
            if not is_url(entry):
                entry = os.path.join(os.path.dirname(path), os.path.expanduser(entry))
            yield from _matched(entry, ask_servers, f"{path}, line {number}")


def _lines(path: str) -> Iterator[str]:
    """Yield the lines of a list; an error for content that is not text, and for lines that cannot be a path."""
    with open(path, "rb") as file:
        number = 0
        while content := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(content) > LONGEST_LINE:
                raise CollidekitError(
                    f"{path}, line {number}: is longer than {LONGEST_LINE:,} bytes; is it a list of files?"
                )
            if b"\0" in content:
                raise CollidekitError(f"{path}, line {number}: contains a zero byte; is it a list of files?")
            try:
                yield content.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise CollidekitError(f"{path}, line {number}: is not UTF-8; is it a list of files?") from None


def check_local_files(patterns: Sequence[str], skip_bad_files: bool = False) -> None:
    """Raise an error for a local file that is missing or cannot be read; URLs are not opened."""
    for path in expand(patterns, ask_servers=False):
        if not is_url(path) and not skip_bad_files:
            check(path)


def file_id(path: str) -> dict[str, int | float | str]:
    """Return the identity of a file: its size, its modification time and a checksum of its whole content.

    A process computes the checksum once, and again if the modification time changes. The checksum covers the size.
    ``size`` and ``checksum`` are the same for a copy. For a URL, only size and modification time are known.
    """
    check(path)
    if is_url(path):
        found = known_status(path)
        return {"url": path, "size": found.size, "modified": found.modified}
    status = os.stat(path)
    digest = _checksum(os.path.realpath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return {"size": status.st_size, "mtime": status.st_mtime, "checksum": digest}


def content_of(identity: Mapping[str, int | float | str]) -> tuple[int | float | str, ...]:
    """Return the part of a file's identity that is the same for a copy."""
    return tuple(value for key, value in sorted(identity.items()) if key not in ("mtime", "modified"))


@lru_cache(maxsize=100_000)
def _checksum(path: str, size: int, *_changed: int) -> str:
    """Return the checksum of a file's content; the modification times are only keys of the cache."""
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with open(path, "rb") as file:
        digest.update(file.read(MEGABYTE))
        file.seek(max(0, size - MEGABYTE))
        digest.update(file.read(MEGABYTE))
        file.seek(MEGABYTE)
        left = size - 2 * MEGABYTE
        while left > 0 and (content := file.read(min(left, MEGABYTE))):
            digest.update(content)
            left -= len(content)
    return digest.hexdigest()
