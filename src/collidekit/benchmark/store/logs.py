"""Logs of a run, which can be read while it runs."""

import os
from pathlib import Path

from attrs import frozen

from collidekit.errors import CollidekitError

PIECE = 1 << 16
"""Bytes that are read at once."""


@frozen
class LogFile:
    """The log of a step, or the progress of the run."""

    name: str
    """``progress.log``, or sample and step such as ``nominal/tagger.log``."""
    size: int
    """Bytes."""


def log_files(folder: Path) -> list[LogFile]:
    """Return the logs in the folder of an attempt, the oldest first."""
    found = [path for pattern in ("*.log", "*/*.log") for path in folder.glob(pattern) if _is_log(path)]
    found.sort(key=lambda path: (path.stat().st_ctime, path.name))
    return [LogFile(path.relative_to(folder).as_posix(), path.stat().st_size) for path in found]


def _is_log(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and not path.parent.name.startswith(".")


def read_log(folder: Path, name: str, offset: int = 0, largest: int = PIECE) -> tuple[str, int]:
    """Return a piece of a log and where the next one begins; an empty text where nothing more is there yet."""
    if name not in {log.name for log in log_files(folder)}:
        raise CollidekitError(f"log {name[:100]!a}: the run has no such log")
    with open(folder / name, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW)) as file:
        file.seek(max(offset, 0))
        content = file.read(largest)
    return content.decode("utf-8", "replace"), max(offset, 0) + len(content)
