"""Ranges of rows for several processes, made of whole batches, so that each row is in the same batch as with one process."""

import numpy as np

from collidekit.dataset.loader import Loader


def rows_of_share(loader: Loader, share: int, shares: int) -> range:
    """Return the range of rows in the dataset of one of several shares of the batches; the loader must not shuffle.

    Only the column of keys is read, and only if the loader has a split.
    """
    size, dataset = loader.batch_size, loader.dataset
    if loader.split is None:
        places = np.arange(len(dataset), step=size)
    else:
        places = np.flatnonzero(loader.split.rows(dataset.column("key"), loader.part))[::size]
    ends = [*places.tolist(), len(dataset)]
    batches = len(places)
    return range(ends[batches * share // shares], ends[batches * (share + 1) // shares])
