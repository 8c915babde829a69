"""The log of a command: its output up to a limit of bytes."""

from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from collidekit.batch.units import show_memory
from collidekit.plain_text import without_controls


class CutLog:
    """A file that takes bytes up to a limit and ends with a line that says so."""

    def __init__(self, path: Path, limit: int) -> None:
        self.path, self.limit, self.full = path, limit, False
        self._left = limit
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, content: bytes) -> None:
        """Append what fits; the rest is dropped."""
        self._file.write(content[: self._left])
        if len(content) > self._left and not self.full:
            self.full = True
            self._file.write(f"\n[the log was cut at its limit of {show_bytes(self.limit)}]\n".encode())
        self._left = max(0, self._left - len(content))
        self._file.flush()


def last_line(log: Path, longest: int = 200) -> str:
    """Return the last line of a log that is not empty, without control characters; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            text = without_controls(file.read().decode(errors="replace"))
    except OSError:
        return ""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return next((line[:longest] for line in reversed(lines) if line), "")


def show_bytes(amount: int) -> str:
    """Return ``64 MB`` for 64 * 2**20, ``512 kB`` for 2**19."""
    return show_memory(amount / 2**20) if amount >= 2**20 else f"{amount / 1024:.3g} kB"
