"""Files that the user of a sandbox can read: a private copy where the originals are for their owner alone."""

import os
import shutil
import stat
from pathlib import Path

from collidekit.benchmark.sandbox.job import Mount


def readable(mounts: tuple[Mount, ...], staging: Path) -> tuple[Mount, ...]:
    """Return mounts that every user can read; what is not readable is copied to a folder of this machine first.

    Modes of the originals are left as they are. Links are copied as links.
    """
    found = []
    for number, mount in enumerate(mounts):
        if _all_readable(mount.source):
            found.append(mount)
            continue
        copy = staging / str(number)
        if mount.source.is_dir():
            shutil.copytree(mount.source, copy, symlinks=True, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(mount.source, copy)
        _open_to_all(mount.source, copy)
        found.append(Mount(copy, mount.target))
    return tuple(found)


def _all_readable(path: Path) -> bool:
    if not _readable(path):
        return False
    return all(
        _readable(Path(folder, name))
        for folder, folders, files in os.walk(path)
        for name in (*folders, *files)
        if not Path(folder, name).is_symlink()
    )


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
