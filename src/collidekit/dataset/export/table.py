"""The table of exported events, which the writers of all formats read piece by piece."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from collidekit.dataset.export.columns import EXACT, Column
from collidekit.dataset.export.spool import Spool

Array = np.ndarray[Any, Any]

BLOCK = 10_000
"""Rows to write at a time."""
INTEGER_PADDING = -999
"""Padding of lists of integers if the padding value is not an integer."""


@dataclass
class Table:
    """Columns and their values; ``limits`` has the largest number of constituents of each collection."""

    columns: list[Column]
    spool: Spool
    limits: Mapping[str, int]
    padding: float = -999.0
    metadata: dict[str, Any] = field(default_factory=dict)
    equal_to_padding: dict[str, int] = field(default_factory=dict)
    """Number of values of existing constituents that equal the padding, by column; filled by ``padded``."""

    @property
    def rows(self) -> int:
        return self.spool.rows

    def dtype(self, column: Column) -> np.dtype[Any]:
        return np.dtype(self.spool.exact_type(column.name) if column.dtype == EXACT else column.dtype)

    def count_column(self, collection: str) -> Column:
        return next(column for column in self.columns if column.key == ("count", collection))

    def values(self, column: Column) -> Iterator[Array]:
        """Yield the values of a column piece by piece."""
        for pieces in self.spool.blocks(BLOCK):
            yield self._joined(column, pieces)

    def blocks(self) -> Iterator[dict[str, Array]]:
        """Yield all columns, some thousand rows at a time."""
        for pieces in self.spool.blocks(BLOCK):
            yield {column.name: self._joined(column, pieces) for column in self.columns}

    def _joined(self, column: Column, pieces: Sequence[int]) -> Array:
        kind = str(self.dtype(column)) if column.dtype == EXACT else None
        return np.concatenate([self.spool.read(column.name, piece, kind) for piece in pieces])

    def padding_of(self, column: Column) -> float:
        """Return the value that fills the lists of a column up to their limit."""
        if column.dtype == "float32":
            return float(np.float32(self.padding))
        whole = np.isfinite(self.padding) and self.padding == int(self.padding) and abs(self.padding) < 1 << 31
        return int(self.padding) if whole else INTEGER_PADDING

    def padded(self, column: Column) -> Iterator[Array]:
        """Yield the lists of a column as blocks (n, limit), padded at their ends."""
        limit, padding = self.limits[column.collection], self.padding_of(column)
        for values, counts in zip(self.values(column), self.values(self.count_column(column.collection)), strict=True):
            block = np.full((len(counts), limit), padding, dtype=values.dtype)
            block[np.arange(limit) < counts[:, None]] = values
            if same := int(np.count_nonzero(values == padding)):
                self.equal_to_padding[column.name] = self.equal_to_padding.get(column.name, 0) + same
            yield block
