"""Takes the files that a command wrote out of its output folder: regular files only, without following a link."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from collidekit.benchmark.sandbox.log import show_bytes

MOST_FILES = 1000
"""Files and folders in /output."""
DEEPEST = 8
"""Folders below one another in /output."""
_BLOCK = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class OutputError(Exception):
    """Error in the output, as one sentence for the participant."""


@frozen
class _Entry:
    path: str
    is_folder: bool
    size: int


def collect(folder: int, target: Path, limit: int) -> None:
    """Copy what lies below an open folder to a folder of this machine, whose content must be at most ``limit`` bytes.

    All processes that could write there must have ended. Nothing is copied where an entry is refused.
    """
    entries = list(_entries(folder, "", 0))
    total = sum(entry.size for entry in entries)
    if total > limit:
        raise OutputError(f"/output holds more than the limit of {show_bytes(limit)}")
    for entry in entries:
        if entry.is_folder:
            (target / entry.path).mkdir(exist_ok=True)
        else:
            _copy(folder, entry, target / entry.path)


def count_entries(folder: Path) -> tuple[int, int]:
    """Return how many entries lie below a folder, and their bytes; counting ends above ``MOST_FILES``."""
    entries, size, waiting = 0, 0, [folder]
    while waiting and entries <= MOST_FILES:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    entries += 1
                    size += _allocated(entry)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    if entries > MOST_FILES:
                        break
        except OSError:  # removed in the meantime
            continue
    return entries, size


def _allocated(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except OSError:
        return 0


def _entries(folder: int, above: str, depth: int, found: list[int] | None = None) -> Iterator[_Entry]:
    found = [0] if found is None else found
    for name in sorted(os.listdir(folder)):
        path, shown = f"{above}{name}", f"/output/{above}{name}"
        found[0] += 1
        if found[0] > MOST_FILES:
            raise OutputError(f"/output holds more than {MOST_FILES} files; write fewer")
        if not name.isprintable() or len(path) > 200:
            raise OutputError(
                f"{shown[:220]!a}: the name of this file is too long or has odd characters; choose another"
            )
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            if depth >= DEEPEST:
                raise OutputError(f"{shown}: lies more than {DEEPEST} folders deep; write to /output itself")
            yield _Entry(path, True, 0)
            inner = _open_folder(folder, name, shown)
            try:
                yield from _entries(inner, f"{path}/", depth + 1, found)
            finally:
                os.close(inner)
        else:
            refuse_odd(status, shown)
            yield _Entry(path, False, status.st_size)


def refuse_odd(status: os.stat_result, shown: str) -> None:
    """Raise an ``OutputError`` for everything that is no regular file of its own."""
    kinds = {
        stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder",
        stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    }  # fmt: skip
    kind = kinds.get(stat.S_IFMT(status.st_mode))
    if kind is None and status.st_nlink > 1:
        kind = "a hard link"
    if kind is not None:
        raise OutputError(f"{shown}: is {kind}; write a regular file")


def open_regular(folder: int, name: str, shown: str) -> int:
    """Open a regular file of an open folder for reading, or raise an ``OutputError``; links are never followed."""
    refuse_odd(os.stat(name, dir_fd=folder, follow_symlinks=False), shown)
    try:
        file = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        raise OutputError(f"{shown}: cannot be read ({error.strerror})") from None
    try:
        refuse_odd(os.fstat(file), shown)
    except OutputError:
        os.close(file)
        raise
    return file


def _open_folder(folder: int, name: str, shown: str) -> int:
    try:
        return os.open(name, _READ | os.O_DIRECTORY, dir_fd=folder)
    except OSError as error:
        raise OutputError(f"{shown}: cannot be read ({error.strerror})") from None


def _copy(folder: int, entry: _Entry, target: Path) -> None:
    """Copy a file part by part: each folder of its path is opened without following links."""
    *parents, name = entry.path.split("/")
    opened = os.dup(folder)
    try:
        for parent in parents:
            inner = _open_folder(opened, parent, f"/output/{entry.path}")
            os.close(opened)
            opened = inner
        source = open_regular(opened, name, f"/output/{entry.path}")
    finally:
        os.close(opened)
    with os.fdopen(source, "rb") as read, target.open("xb") as write:
        left = entry.size
        while left > 0 and (content := read.read(min(_BLOCK, left))):
            write.write(content)
            left -= len(content)
