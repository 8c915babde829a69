"""Columns of files whose values are far from the values of the export, because of another unit, definition or kind of sample."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from collidekit.dataset.arrays import RaggedArray, RowArrays
from collidekit.runtime.schema import Column, Schema

Array = np.ndarray[Any, Any]

PERCENTILES = (1, 50, 99)
FEWEST = 30
"""Minimum number of rows for a median or a percentile."""
MOST = 2000
"""Number of rows at the beginning of a file that are compared."""
MARGIN = 0.25
"""Distance by which a median may lie outside the percentiles of the bundle, as a fraction of the distance between them."""
SHOWN = 3
"""Maximum number of files and columns that are named."""


def quantiles_of(tables: Sequence[Array]) -> list[tuple[float, float, float] | None]:
    """Return the percentiles of each column; ``tables`` has one table (n, C) per row. None if there are too few rows or values."""
    values = np.concatenate(tables) if tables else np.zeros((0, 0))
    if len(tables) < FEWEST:
        return [None] * values.shape[1]
    found: list[tuple[float, float, float] | None] = []
    for column in values.astype(np.float64).T:
        finite = column[np.isfinite(column)]
        found.append(tuple(np.percentile(finite, PERCENTILES).tolist()) if len(finite) >= FEWEST else None)
    return found


class FarColumns:
    """Finds columns of files, read in order, whose median is far from the values of the export.

    Far means beyond the 1st or 99th percentile of the rows of the export, by more than ``MARGIN`` times the distance
    between these two. Flags, constant columns and files with fewer than ``FEWEST`` rows are not compared.
    """

    def __init__(self, schema: Schema, files: Sequence[str]) -> None:
        self.columns = {entry.name: entry.columns for entry in schema.inputs if entry.columns}
        self.files = files
        self.far: dict[str, str] = {}
        """Message for each file, by its name."""
        self._file, self._rows = -1, 0
        self._parts: dict[str, list[Array]] = {}

    def watch(self, parts: Iterable[RowArrays]) -> Iterator[RowArrays]:
        """Yield the same rows, and record their columns."""
        for rows in parts:
            self._add(rows)
            yield rows
        self._close()

    def _add(self, rows: RowArrays) -> None:
        if (number := int(rows.source[0, 0])) != self._file:
            self._close()
            self._file = number
        if (more := min(len(rows), MOST - self._rows)) <= 0:
            return
        self._rows += more
        for name, entry in rows.slice(0, more).inputs.items():
            values = entry.data[entry.offsets[0] : entry.offsets[-1]] if isinstance(entry, RaggedArray) else entry
            self._parts.setdefault(name, []).append(values)

    def _close(self) -> None:
        """Compare the columns of the last file."""
        if self._rows >= FEWEST:
            far = [
                text
                for name, columns in self.columns.items()
                for column, values in zip(columns, np.concatenate(self._parts[name]).T, strict=True)
                if (text := _far(name, column, values[np.isfinite(values)]))
            ]
            if far:
                more = f" and {len(far) - SHOWN} more columns" if len(far) > SHOWN else ""
                self.far[self.files[self._file]] = ", ".join(far[:SHOWN]) + more
        self._rows, self._parts = 0, {}

    def notes(self) -> list[str]:
        """Return a warning for each of the first files with such columns, and the number of further files."""
        notes = [
            f"{file}: values are far from the values of the export: {text}; check their unit and definition"
            for file, text in list(self.far.items())[:SHOWN]
        ]
        if len(self.far) > SHOWN:
            notes.append(f"the same for {len(self.far) - SHOWN} more files")
        return notes


def _far(name: str, column: Column, values: Array) -> str:
    """Return the message for a column with these values (n,); empty if they are not far from the values of the export."""
    if column.quantiles is None or column.kind == "flag" or len(values) < FEWEST:
        return ""
    low, _, high = column.quantiles
    margin, median = MARGIN * (high - low), float(np.median(values))
    if not margin or low - margin <= median <= high + margin:
        return ""
    unit = f" {column.unit}" if column.unit else ""
    return f"{name}.{column.name} has the median {median:.4g}, not {low:.4g} to {high:.4g}{unit}"
