"""The folder of a run on this machine, which one run at a time writes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from collidekit.errors import CollidekitError


@contextmanager
def run_folder(folder: Path) -> Iterator[Path]:
    """Make a folder and hold it; CollidekitError where another process holds it, whose predictions would be mixed with those of this one.

    The system releases the folder when its process ends, however that happens. Where it has no locks, nothing is held.
    """
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows
        yield folder
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise CollidekitError(f"{folder}: cannot be written ({error.strerror or error})") from None
    try:
        with suppress(OSError):  # a disk without locks
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CollidekitError(
                    f"{folder}: another run writes into this folder; wait for its end, or name another folder with --output"
                ) from None
        yield folder
    finally:
        os.close(handle)
