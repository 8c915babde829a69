"""Padded tensors of rows, in blocks of rows with similar length, so that little is computed for empty slots."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from collidekit.dataset.arrays import RaggedArray

Array = np.ndarray[Any, Any]

WASTE = 0.1
"""Maximum padding of a block, as a fraction of its constituents."""
SLACK = 128
"""Number of padded slots that is always allowed, because another block would cost more than the padding."""
MOST_SLOTS = 3 << 8
"""Maximum number of slots of a block of several rows, so that the output of a layer fits into the cache of the processor."""
MOST_WITH_DRAWS = 1 << 11
"""Maximum number of slots and draws of a block of several rows."""
MOST_PAIRS = 1 << 19
"""Maximum number of pairs of slots of a block of several rows; with 64 channels these are 128 MiB."""


def cut(counts: Sequence[Array], fixed: int = 0) -> Iterator[Array]:
    """Divide rows into blocks; yield the row numbers of each block.

    ``counts`` are the numbers of constituents (N,) in each collection. ``fixed`` is the number of additional slots of
    each row.
    """
    table = np.stack(counts, axis=1)  # (N, collections)
    order = np.lexsort((*table.T, table.sum(axis=1)))[::-1]
    start, real = 0, 0
    widest = [0] * table.shape[1]
    for stop, row in enumerate(table[order].tolist()):
        wider = [max(pair) for pair in zip(widest, row, strict=True)]
        slots = sum(wider)
        rows = stop + 1 - start
        padding = rows * slots - (real + sum(row))
        is_full = (
            rows * slots > MOST_SLOTS or rows * (slots + fixed) > MOST_WITH_DRAWS or rows * slots * slots > MOST_PAIRS
        )
        if stop > start and (is_full or padding > WASTE * real + SLACK):
            yield order[start:stop]
            start, real, wider = stop, 0, row
        real += sum(row)
        widest = wider
    if start < len(order):
        yield order[start:]


def padded(entry: RaggedArray, rows: Array) -> tuple[Array, Array]:
    """Return the values (n, L, C) of rows and their mask (n, L), 1 for a constituent and 0 for an empty slot, as float32."""
    starts, counts = entry.offsets[rows], entry.counts[rows]
    length, width = int(counts.max(initial=0)), entry.data.shape[1]
    if len(rows) == 1:
        first = int(starts[0])
        return entry.data[None, first : first + length], np.ones((1, length), dtype=np.float32)
    there = np.arange(length) < counts[:, None]
    places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))
    values = np.zeros((len(rows), length, width), dtype=np.float32)
    values[there] = entry.data[places]
    return values, there.astype(np.float32)
