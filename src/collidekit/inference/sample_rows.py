"""So many rows, spread evenly over files: files are often sorted by class or process."""

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
"""From so many places of the files the rows are taken at first."""


def sample_rows(
    plan: Plan, files: str | Sequence[str], limit: int, done: Callable[[int], None] = lambda rows: None
) -> Batch:
    """At most ``limit`` selected rows of files, in their order, as one batch; ``done`` is told what was read.

    Reads blocks at equal distances, and the next ones to them as long as the selection leaves too few rows.
    """
    paths = expand(files)
    trees = OneTree()
    lengths = [_rows(plan, path, trees) for path in paths]
    total = sum(lengths)
    size = min(max(1, -(-limit // PLACES)), CHUNK)
    step = max(size, total * size // max(limit, 1))
    held: list[Batch] = []
    for shift in range(0, step, size):
        for number, path in enumerate(paths):
            first = sum(lengths[:number])
            starts = range((shift - first) % step, lengths[number], step)
            for batch, read in _read(plan, path, number, starts, min(size, step - shift)):
                held += [batch] if len(batch) else []
                done(read)
        if sum(map(len, held)) >= limit:
            break
    if not held:
        raise CollidekitError("no row of the files passes the selection")
    rows = concatenate(held)
    order = np.lexsort((rows.source[:, 1].numpy(), rows.source[:, 0].numpy()))
    kept = order[np.linspace(0, len(order) - 1, min(limit, len(order))).round().astype(np.int64)]
    return rows.take(torch.from_numpy(kept))


def _rows(plan: Plan, path: str, trees: OneTree) -> int:
    with open_file(path, plan.analysis.source) as reader:
        trees.add(path, reader.tree)
        return reader.rows


def _read(plan: Plan, path: str, number: int, starts: Sequence[int], size: int) -> Iterator[tuple[Batch, int]]:
    """The rows of each block, and how many entries were read."""
    if not len(starts):
        return
    with open_file(path, plan.analysis.source) as reader:
        columns = columns_of(plan, reader, with_truth=False)
        for start in starts:
            stop = min(start + size, reader.rows)
            chunk = reader.read(columns, start, stop)
            yield build_rows(plan, chunk, path, number, start, keep_all=True).batch, stop - start


def spread_rows(rows: Loader, limit: int) -> Batch:
    """At most so many rows of a dataset, at equal distances."""
    total = sum(map(len, rows))
    step = max(1, -(-total // limit))
    held, first = [], 0
    for batch in rows:
        held.append(batch.take(torch.arange(-first % step, len(batch), step)))
        first += len(batch)
    return concatenate(held)
