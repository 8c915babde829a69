"""The thread of a server that ends leases which are over, so that no run waits for a dead worker."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from collidekit.benchmark.store import Store, StoreUnavailable

INTERVAL = 30.0
"""Seconds between two looks."""


@contextmanager
def leases_end(store: Store, interval: float = INTERVAL) -> Iterator[None]:
    """Within the block, leases of the store that are over end every ``interval`` seconds; a store that is away is tried again."""
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
