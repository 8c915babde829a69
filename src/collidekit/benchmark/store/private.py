"""Rights of the files of a store: its owner alone reads tokens' hashes, hidden scores and the code of participants."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from collidekit.errors import CollidekitError

FOLDERS = ("uploads", "runs", "checks", "workers")
"""Folders within that of a store."""
BESIDE = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database."""


def make_database(path: Path) -> None:
    """Make an empty file for SQLite that its owner alone can read, and folders for it, unless they are there."""
    if path.is_file():
        return
    try:
        make_folder(path.parent)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666 & _kept(path)))
    except OSError as error:
        raise CollidekitError(f"{path.parent}: cannot be written ({error.strerror or error})") from None


def make_folder(path: Path) -> None:
    """Make a folder that its owner alone can enter; one that is there stays as it is."""
    if not path.is_dir():
        path.mkdir(mode=0o777 & _kept(path), parents=True, exist_ok=True)


def repair(database: Path | None, folder: Path) -> None:
    """Take away the rights of others from what belongs to this user, as earlier versions made it."""
    files = [] if database is None else [database, *(database.with_name(f"{database.name}{end}") for end in BESIDE)]
    _restrict([*files, folder, *(folder / name for name in FOLDERS)])


def _restrict(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            found = path.lstat()
            kept = stat.S_IMODE(found.st_mode) & (0o7000 | _kept(path))
            if not stat.S_ISLNK(found.st_mode) and found.st_uid == os.getuid() and kept != stat.S_IMODE(found.st_mode):
                path.chmod(kept)


def _kept(path: Path) -> int:
    """Return the rights that a file or folder may have: also its group's within a folder that hands its group on (chmod g+s)."""
    place = next((folder for folder in path.parents if folder.is_dir()), path.parent)
    shared = place.is_dir() and place.stat().st_mode & stat.S_ISGID
    return 0o770 if shared else 0o700
