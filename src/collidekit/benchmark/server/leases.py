"""The thread of a server that ends leases which are over, so that no run waits for a dead worker."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from collidekit.benchmark.store import Store, StoreUnavailable

INTERVAL = 30.0
"""Seconds between two checks."""


@contextmanager
def leases_end(store: Store, interval: float = INTERVAL) -> Iterator[None]:
    """End expired leases of the store every ``interval`` seconds during the block; a store that cannot be reached is tried again."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(interval):
            with suppress(StoreUnavailable):
                store.expire()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
