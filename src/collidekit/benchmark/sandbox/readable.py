"""Files that the user of a sandbox can read: a private copy where the originals are for their owner alone."""

import os
import shutil
import stat
from pathlib import Path

from collidekit.benchmark.sandbox.job import Mount
from collidekit.benchmark.sandbox.log import show_bytes
from collidekit.errors import CollidekitError

LARGEST_COPY = 1 << 30
"""Bytes that are copied for one mount; more would cost each run its time."""


def readable(mounts: tuple[Mount, ...], staging: Path) -> tuple[Mount, ...]:
    """Return mounts that every user can read; what is not readable is copied to a folder of this machine first.

    Modes of the originals are left as they are. Links are copied as links.
    """
    found = []
    for number, mount in enumerate(mounts):
        hidden = _unreadable(mount.source)
        if hidden is None:
            found.append(mount)
            continue
        size = sum(path.lstat().st_size for path in _below(mount.source))
        if size > LARGEST_COPY:
            raise CollidekitError(
                f"{hidden}: is for its owner alone, and {mount.source} is too large ({show_bytes(size)}) to be copied for each run; let "
                f"everyone read it: chmod -R o+rX {mount.source}"
            )
        copy = staging / str(number)
        if mount.source.is_dir():
            shutil.copytree(mount.source, copy, symlinks=True, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(mount.source, copy)
        _open_to_all(mount.source, copy)
        found.append(Mount(copy, mount.target))
    return tuple(found)


def _unreadable(path: Path) -> Path | None:
    """Return the first file or folder that not everyone can read."""
    return next((entry for entry in (path, *_below(path)) if not entry.is_symlink() and not _readable(entry)), None)


def _below(path: Path) -> list[Path]:
    """Return a file itself, or all that lies below a folder; links are not followed."""
    if not path.is_dir():
        return [path]
    return [Path(folder, name) for folder, folders, files in os.walk(path) for name in (*folders, *files)]


def _readable(path: Path) -> bool:
    mode = path.stat().st_mode
    wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
    return mode & wanted == wanted


def _open_to_all(source: Path, copy: Path) -> None:
    """Give a copy the modes of its source, readable by everyone."""
    for path in (copy, *copy.rglob("*")):
        if path.is_symlink():
            continue
        executable = (source / path.relative_to(copy)).stat().st_mode & 0o100
        path.chmod(0o755 if path.is_dir() or executable else 0o644)
