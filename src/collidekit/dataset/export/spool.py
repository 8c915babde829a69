"""Columns on disk until their number of rows is known, in a temporary file that disappears with the process."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collidekit.dataset.exact import as_kind, common_kind

Array = np.ndarray[Any, Any]


class Spool:
    """Pieces of columns, one after another in an unnamed file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file: Any = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed in close()
        self._places: list[dict[str, tuple[int, np.dtype[Any], int]]] = []
        self.sizes: list[int] = []
        """Number of rows in each piece."""

    @property
    def rows(self) -> int:
        return sum(self.sizes)

    def append(self, columns: Mapping[str, Array], rows: int) -> None:
        """Write one piece of all columns."""
        places = {}
        for name, values in columns.items():
            places[name] = (self._file.tell(), values.dtype, len(values))
            self._file.write(values.tobytes())
        self._places.append(places)
        self.sizes.append(rows)

    def read(self, name: str, piece: int, dtype: str | None = None) -> Array:
        """Return a column of one piece; exact columns have the type ``dtype`` that ``exact_type`` returns."""
        start, stored, count = self._places[piece][name]
        end = self._file.seek(0, 2)
        self._file.seek(start)
        values = np.frombuffer(self._file.read(count * stored.itemsize), dtype=stored)
        self._file.seek(end)
        return values if dtype is None else as_kind(values, dtype, name)

    def exact_type(self, name: str) -> str:
        """Return the type that holds all values of an exact column."""
        return common_kind({str(places[name][1]) for places in self._places})

    def blocks(self, least: int) -> Iterator[Sequence[int]]:
        """Yield the numbers of pieces that have at least ``least`` rows together."""
        held: list[int] = []
        for piece, size in enumerate(self.sizes):
            held.append(piece)
            if sum(self.sizes[i] for i in held) >= least or size >= least:
                yield held
                held = []
        if held:
            yield held

    def close(self) -> None:
        self._file.close()
