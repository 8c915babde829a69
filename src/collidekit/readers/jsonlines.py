"""JSON lines, plain or gzipped: each row is a line, either an object with names or a list with a layout."""

import gzip
import json
import os
import zlib
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO, cast

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.readers.base import BadFileError, FileReader, bad_file, is_url, open_binary
from collidekit.readers.layout import Layout, Level, ShapeError, shown, written

SAMPLE = 100
"""Number of lines from which the columns of objects are taken."""

_counted: dict[tuple[str | int, ...], int] = {}
"""Number of lines of the files that this process has read to their end."""


def _whole_names(sample: list[Any]) -> set[str]:
    """Return the names of numbers of the objects that are integers in all of them."""
    objects = [line for line in sample if isinstance(line, dict)]
    names = {name for line in objects for name in line}
    return {name for name in names if all(type(line.get(name)) is int for line in objects)}


class LinesAreListsError(CollidekitError):
    """JSON lines that are lists, without a layout that names their positions."""

    def __init__(self, path: str, sample: list[Any]) -> None:
        super().__init__(
            f"{path}: its lines are lists; name their positions with `source: {{layout: [...]}}` (see docs/formats.md)"
        )
        self.sample = sample


class JsonLinesReader(FileReader):
    """A file that is read from beginning to end; numbers are float64, also ``"NaN"`` and ``"-inf"``, or integers.

    ``rows`` reads the whole file once to count its lines. Continuing after the last call is free; any other read
    starts again from the beginning.
    """

    def __init__(self, path: str, source: Source) -> None:
        super().__init__(path, source)
        self._lines: Iterator[tuple[int, bytes]] | None = None
        self._position = 0
        lines = self._stream()
        try:
            sample = [self._parse(number, line) for number, line in islice(lines, SAMPLE)]
        finally:
            lines.close()
        self._layout = self._find(sample)
        self._whole = {name for name in _whole_names(sample) if self.source.layout is None}
        """Names of numbers of the line that are integers in the sample."""
        self._where: dict[str, tuple[Level, int]] = {}
        for name, level, position in self._layout.columns():
            if name in self._where:
                self.unreadable[name] = "in the file twice under this name"
            self._where[name] = (level, position)
            kind = "int64" if name in self._whole else "float64"
            self.columns[name] = "var * float64" if level.depth else kind

    def _find(self, sample: list[Any]) -> Layout:
        layout: Any = self.source.layout
        if layout is not None:
            return written(layout)
        if not all(isinstance(line, dict) for line in sample):
            raise LinesAreListsError(self.path, sample)
        found, self.unreadable = shown(sample)
        return found

    def _stream(self) -> Generator[tuple[int, bytes], None, None]:
        """Yield ``(number, line)`` for each line that is not blank, counted from 1."""
        handle = open_binary(self.path)
        try:
            magic = handle.read(2)
            handle.seek(0)
            lines = cast(BinaryIO, gzip.GzipFile(fileobj=handle)) if magic == b"\x1f\x8b" else handle
            for number, line in enumerate(lines, 1):
                if not line.isspace():
                    yield number, line
        except (EOFError, zlib.error, OSError) as error:
            raise bad_file(self.path, error) from error
        finally:
            handle.close()

    def _parse(self, number: int, line: bytes) -> Any:
        try:
            return json.loads(line)
        except (ValueError, RecursionError) as error:
            said = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
            raise BadFileError(
                f"{self.path}, line {number}: is not JSON ({said}); each line must be one complete object or list"
            ) from error

    def _count(self) -> int:
        """Return the number of lines; a process counts an unchanged local file only once."""
        if is_url(self.path):
            return sum(1 for _ in self._stream())
        status = os.stat(self.path)
        key = (os.path.realpath(self.path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        if key not in _counted:
            _counted[key] = sum(1 for _ in self._stream())
        return _counted[key]

    def _read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        if self._lines is None or self._position != start:
            self.close()
            self._lines = self._stream()
            next(islice(self._lines, start, start), None)
        self._position = stop
        numbers = []
        try:
            for number, line in islice(self._lines, stop - start):
                numbers.append(number)
                try:
                    self._layout.line(self._parse(number, line))
                except ShapeError as error:
                    raise BadFileError(
                        f"{self.path}, line {number}, position {error.where or 'the line itself'}: {error.what}; "
                        "correct the line or `source: {layout: ...}`"
                    ) from None
            matrices = {id(level): self._matrix(level, numbers) for level in self._levels(columns)}
            return {name: self._column(name, matrices) for name in columns}
        except BaseException:
            self.close()
            raise
        finally:
            self._layout.clear()

    def _levels(self, columns: Sequence[str]) -> list[Level]:
        return list({id(self._where[name][0]): self._where[name][0] for name in columns}.values())

    def _matrix(self, level: Level, numbers: list[int]) -> NDArray[np.float64]:
        """Return the numbers (members, names) of a level."""
        try:
            shape = (len(level.rows), len(level.names))
            values = np.array(level.rows, dtype=np.float64)
            if level.rows and values.shape != (shape[:1] if level.scalar else shape):
                raise ValueError
            return values.reshape(shape)
        except (ValueError, TypeError):
            lines = np.repeat(numbers, level.counts)
            for row, line in zip(level.rows, lines, strict=True):
                for name, value in zip(level.names, [row] if level.scalar else row, strict=False):
                    try:
                        float(0 if value is None else value)
                    except (ValueError, TypeError):
                        raise BadFileError(f"{self.path}, line {line}: {name} is {value!r}, not a number") from None
            raise

    def _column(self, name: str, matrices: dict[int, NDArray[np.float64]]) -> ak.Array:
        level, position = self._where[name]
        numbers = np.ascontiguousarray(matrices[id(level)][:, position])
        if name in self._whole or (abs(numbers) >= 2**53).any():
            numbers = self._integers(name, level, position, numbers)
        values = ak.from_numpy(numbers)
        return ak.unflatten(values, np.asarray(level.counts, np.int64)) if level.depth else values

    def _integers(self, name: str, level: Level, position: int, numbers: NDArray[np.float64]) -> NDArray[Any]:
        """Return the numbers of a column as integers if all of them are, because double precision may round them."""
        given = [row if level.scalar else row[position] for row in level.rows]
        if not all(type(number) is int for number in given):
            if rounded := [n for n, f in zip(given, numbers, strict=True) if type(n) is int and n != int(f)]:
                raise BadFileError(
                    f"{self.path}: {name} is {rounded[0]} in one line but not an integer in another; no column type holds both exactly"
                )
            return numbers
        try:
            return np.array(given, dtype=np.uint64 if max(given, default=0) >= 1 << 63 else np.int64)
        except OverflowError:
            large = max(given, key=abs)
            raise BadFileError(f"{self.path}: {name} is {large}, an integer of more than 64 bits") from None

    def detour(self, start: int) -> int:
        """Return the number of rows before this one; finding them takes about a tenth of the time of reading them."""
        return start // 10

    def close(self) -> None:
        self._lines = None
