"""A sample of rows spread evenly over files, because files are often sorted by class or process."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch, concatenate
from collidekit.dataset.loader import Loader
from collidekit.dataset.pieces import CHUNK
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.errors import CollidekitError
from collidekit.readers import expand, open_file
from collidekit.readers.base import OneTree

PLACES = 50
"""Number of places in the files from which rows are taken at first."""


def sample_rows(
    plan: Plan, files: str | Sequence[str], limit: int, done: Callable[[int], None] = lambda rows: None
) -> Batch:
    """Return at most ``limit`` selected rows of files, in their order, as one batch.

    The files are divided into ranges of equal length. One block of each range is read, at a random but reproducible
    place. While the selection leaves too few rows, the next block of each range is read. With blocks at equal
    distances, files in which classes alternate could give only one class. ``done`` is called with the number of entries
    of each block.
    """
    paths = expand(files)
    trees = OneTree()
    lengths = [_rows(plan, path, trees) for path in paths]
    total = sum(lengths)
    size = min(max(1, -(-limit // PLACES)), CHUNK)
    step = max(size, total * size // max(limit, 1))
    blocks = -(-step // size)  # per range
    chance = np.random.default_rng(0)
    begin = chance.integers(0, blocks, -(-total // step))  # the first block of each range
    held: list[Batch] = []
    for turn in range(blocks):
        place = (begin + turn) % blocks * size
        starts, sizes = np.arange(len(begin)) * step + place, np.minimum(size, step - place)
        for number, path in enumerate(paths):
            first = sum(lengths[:number])
            here = np.flatnonzero((starts >= first) & (starts < first + lengths[number]))
            wanted = [(int(starts[k]) - first, int(sizes[k])) for k in here]
            for batch, read in _read(plan, path, number, wanted):
                held += [batch] if len(batch) else []
                done(read)
        if sum(map(len, held)) >= limit:
            break
    if not held:
        raise CollidekitError("no row of the files passes the selection")
    rows = concatenate(held)
    order = np.lexsort((rows.source[:, 1].numpy(), rows.source[:, 0].numpy()))
    kept = order if len(order) <= limit else order[np.sort(chance.permutation(len(order))[:limit])]
    return rows.take(torch.from_numpy(kept))


def _rows(plan: Plan, path: str, trees: OneTree) -> int:
    with open_file(path, plan.analysis.source) as reader:
        trees.add(path, reader.tree)
        return reader.rows


def _read(plan: Plan, path: str, number: int, wanted: Sequence[tuple[int, int]]) -> Iterator[tuple[Batch, int]]:
    """Yield the selected rows of each block and its number of entries; blocks are given as first entry and size."""
    if not wanted:
        return
    with open_file(path, plan.analysis.source) as reader:
        columns = columns_of(plan, reader, with_truth=False)
        for start, size in wanted:
            stop = min(start + size, reader.rows)
            chunk = reader.read(columns, start, stop)
            yield build_rows(plan, chunk, path, number, start, keep_all=True).batch, stop - start


def spread_rows(rows: Loader, limit: int) -> Batch:
    """Return at most ``limit`` rows of a dataset: one from each range of equal length, at a random but reproducible place."""
    total = sum(map(len, rows))
    step = max(1, -(-total // limit))
    begin = np.arange(0, total, step)
    picked = begin + np.random.default_rng(0).integers(0, np.minimum(step, total - begin))
    held, first = [], 0
    for batch in rows:
        inside = picked[(picked >= first) & (picked < first + len(batch))] - first
        held.append(batch.take(torch.from_numpy(inside)))
        first += len(batch)
    return concatenate(held)
