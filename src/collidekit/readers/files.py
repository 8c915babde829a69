"""Which files: globs, lists of files, urls; and how a file is known again."""

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence

from collidekit.errors import CollidekitError
from collidekit.readers.base import bad_file, check, is_url

MEGABYTE = 1 << 20


def expand(patterns: Sequence[str] | str) -> list[str]:
    """The files that patterns stand for, in their order; those of one glob are sorted.

    A pattern is a path, a glob (``data/*.root``, ``**`` for all folders below), a url, or a ``.txt`` file with one
    pattern a line (``#`` begins a comment; relative to where the list lies). One that matches nothing and a file that
    comes twice are errors.
    """
    paths: list[str] = []
    said: dict[str, str] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        for path, origin in _listed(pattern) if pattern.endswith(".txt") and not is_url(pattern) else _matched(pattern):
            file = path if is_url(path) else os.path.realpath(path)
            if file in said:
                raise CollidekitError(f"{path}: comes twice, from {said[file]} and from {origin}; name each file once")
            said[file] = origin
            paths.append(path)
    if not paths:
        raise CollidekitError("no files were named")
    return paths


def _matched(pattern: str, origin: str = "") -> Iterator[tuple[str, str]]:
    """Each file of a pattern, and where it was named."""
    origin = origin or repr(pattern)
    if is_url(pattern):
        yield pattern, origin
        return
    pattern = os.path.expanduser(pattern)
    if os.path.exists(pattern):  # also a file whose name holds a * or a [
        if os.path.isdir(pattern):
            check(pattern)
        yield pattern, origin
        return
    matches = [path for path in sorted(glob.glob(pattern, recursive=True)) if not os.path.isdir(path)]
    if not matches:
        what = "matches no file" if glob.has_magic(pattern) else "there is no such file"
        raise CollidekitError(f"{pattern}: {what}" + ("" if origin == repr(pattern) else f" (named in {origin})"))
    for path in matches:
        yield path, origin


def _listed(path: str) -> Iterator[tuple[str, str]]:
    """Each file of a list of files."""
    check(path)
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if entry := line.split("#")[0].strip():
                if not is_url(entry):
                    entry = os.path.join(os.path.dirname(path), os.path.expanduser(entry))
                yield from _matched(entry, f"{path}, line {number}")


def file_id(path: str) -> dict[str, int | float | str]:
    """What tells a file from a changed one: its size, time of change and a checksum of its first and last megabyte.

    The checksum covers the size, so that ``size`` and ``checksum`` stay the same for a copy; a url has only its size.
    """
    check(path)
    if is_url(path):
        import fsspec

        try:
            filesystem, inside = fsspec.core.url_to_fs(path)
            return {"url": path, "size": int(filesystem.size(inside))}
        except Exception as error:
            raise bad_file(path, error) from error
    status = os.stat(path)
    digest = hashlib.blake2b(str(status.st_size).encode(), digest_size=16)
    with open(path, "rb") as file:
        digest.update(file.read(MEGABYTE))
        file.seek(max(0, status.st_size - MEGABYTE))
        digest.update(file.read(MEGABYTE))
    return {"size": status.st_size, "mtime": status.st_mtime, "checksum": digest.hexdigest()}
