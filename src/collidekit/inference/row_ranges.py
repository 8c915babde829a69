"""Shares of the rows to predict: whole batches, so that each row stands in the batch in which one process would predict it."""

import numpy as np

from collidekit.dataset.loader import Loader


def rows_of_share(loader: Loader, share: int, shares: int) -> range:
    """Return the places in the dataset of the rows in one of several shares of the batches of a loader that does not shuffle.

    Only the column of keys is read, and only where the loader has a split.
    """
    size, dataset = loader.batch_size, loader.dataset
    if loader.split is None:
        places = np.arange(len(dataset), step=size)
    else:
        places = np.flatnonzero(loader.split.rows(dataset.column("key"), loader.part))[::size]
    ends = [*places.tolist(), len(dataset)]
    batches = len(places)
    return range(ends[batches * share // shares], ends[batches * (share + 1) // shares])
