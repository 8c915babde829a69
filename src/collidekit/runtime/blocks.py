"""Rows as padded tensors: rows of about equal length together, so that little is computed for empty slots."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from collidekit.dataset.arrays import RaggedArray

Array = np.ndarray[Any, Any]

WASTE = 0.1
"""Padding that a block may hold, as a fraction of its constituents."""
SLACK = 128
"""Slots of padding that are always allowed: below that, a further block costs more than the padding."""
MOST_SLOTS = 3 << 8
"""Slots of a block of several rows: what a layer makes of them stays in the cache of a processor."""
MOST_WITH_DRAWS = 1 << 11
"""Slots and draws of a block of several rows."""
MOST_PAIRS = 1 << 19
"""Pairs of slots of a block of several rows: 128 MiB for 64 channels."""


def cut(counts: Sequence[Array], fixed: int = 0) -> Iterator[Array]:
    """Yield the rows of each block, as an index, all rows once.

    ``counts`` are the numbers of constituents (N,) in each collection; ``fixed`` is how many slots each row takes beside them.
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
    """Return the values (n, L, C) of rows and their mask (n, L), 1 for each constituent and 0 for an empty slot, as float32."""
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
