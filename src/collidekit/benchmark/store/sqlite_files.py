"""Files of SQLite: a connection, which only reads where nothing can be written."""

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

CANNOT_WRITE = (8, 10, 13, 14)
"""Codes of SQLite: read-only, a failed write, a full disk, a file that cannot be opened."""
FULL = 1 << 20
"""Free bytes below which a disk counts as full: SQLite needs some for its log."""


class ReadOnly(sqlite3.Connection):
    """A connection to a file that nobody can write at the moment; it is used once, since others may write later."""


def open_file(path: Path, timeout: float) -> sqlite3.Connection:
    """Return a connection to a database, of the kind ``ReadOnly`` where its disk is full or its folder cannot be written.

    A log with changes that are not in the database yet needs a connection that writes; without one this is an error.
    """
    opened = sqlite3.connect(path, timeout=timeout, check_same_thread=False)
    try:
        opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        opened.close()
        log = path.with_name(f"{path.name}-wal")
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in CANNOT_WRITE or (log.exists() and log.stat().st_size):
            raise
        address = f"file:{quote(str(path))}?mode=ro&immutable=1"
        return sqlite3.connect(address, timeout=timeout, check_same_thread=False, uri=True, factory=ReadOnly)
    except sqlite3.Error:
        opened.close()
        raise
    return opened


def disk_is_full(path: Path) -> bool:
    """Return whether the disk of a file has no space left."""
    with suppress(OSError):
        return shutil.disk_usage(path.parent).free < FULL
    return False
