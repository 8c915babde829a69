"""Messages of tasks in a file, for ``--log-file`` of law."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TextIO

from collidekit.errors import CollidekitError


class _Both(io.TextIOBase):
    """Text stream that writes to the terminal and to a file."""

    def __init__(self, shown: TextIO, file: TextIO) -> None:
        self._shown, self._file = shown, file

    def write(self, text: str) -> int:
        self._file.write(text)
        return self._shown.write(text)

    def flush(self) -> None:
        self._file.flush()
        self._shown.flush()


@contextmanager
def writing_to(path: Path | None) -> Iterator[None]:
    """Append to a file what is printed within the block, and its error; without a path, do nothing."""
    if path is None:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise CollidekitError(f"--log-file: {path}: cannot be written ({error.strerror or error})") from error
    with file, redirect_stdout(_Both(sys.stdout, file)):
        try:
            yield
        except BaseException as error:
            file.write(f"ERROR: {type(error).__name__ if not str(error) else error}\n")
            raise
