"""The heartbeat of a claimed run, in a thread of its own."""

import threading
import time
from types import TracebackType
from typing import Self

from collidekit.benchmark.store import Run, Store, StoreUnavailable

BEATS = 4
"""Heartbeats within a lease."""
CANCEL_SECONDS = 2.0
"""Seconds between two looks whether the run is to be canceled."""


class Heartbeat:
    """Extends the lease of a run until the block ends; tells when the run is lost or is to be canceled.

    Where the database is away, it goes on trying: nobody else can take the run meanwhile. The number of the attempt decides
    in the end who may write the result.
    """

    def __init__(self, store: Store, run: Run, worker: str, lease_seconds: float) -> None:
        self.store, self.run, self.worker, self.lease_seconds = store, run, worker, lease_seconds
        self.lost = threading.Event()
        self.canceled = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat of run {run.id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        every = self.lease_seconds / BEATS
        look = min(CANCEL_SECONDS, every)
        last = time.monotonic()
        while not self._ended.wait(look):
            try:
                if time.monotonic() - last >= every:
                    if not self.store.heartbeat(self.run, self.worker, self.lease_seconds):
                        self.lost.set()
                        return
                    last = time.monotonic()
                if self.store.cancel_requested(self.run):
                    self.canceled.set()
            except StoreUnavailable:
                continue
