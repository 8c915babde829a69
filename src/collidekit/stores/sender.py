"""Upload of the state of a running training to its store, in the background."""

import os
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

from collidekit.errors import CollidekitError
from collidekit.files import staging_beside
from collidekit.progress import notice
from collidekit.stores.unfinished import LAST, StoredState

EVERY = 600.0
"""Seconds between two uploads."""
FILES = ("best_model.pt", "tracking.json", LAST)
"""Files that another machine needs to continue bit for bit."""


class StateSender:
    """Uploads the state at most every ``EVERY`` seconds in its own thread, and once more when the training is interrupted.

    If the store fails, the training continues.
    """

    def __init__(self, state: StoredState, folder: Path) -> None:
        self._state, self._folder = state, folder
        self._thread: threading.Thread | None = None
        self._begun = time.monotonic()
        self._step = -1
        self._warned = ""

    def saved(self, step: int) -> None:
        """Record that the state after ``step`` steps is saved, and upload it if it is time."""
        self._step = step
        busy = self._thread is not None and self._thread.is_alive()
        if busy or time.monotonic() - self._begun < EVERY:
            return
        self._begun = time.monotonic()
        snapshot = self._snapshot()
        self._thread = threading.Thread(
            target=self._send, args=(snapshot, step), name="state to the store", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Wait until the current upload has finished."""
        if self._thread is not None:
            self._thread.join()

    def interrupted(self) -> bool:
        """Upload the last saved state and return whether it is in the store."""
        self.wait()
        return self._step >= 0 and self._send(self._snapshot(), self._step)

    def _snapshot(self) -> Path:
        """Return a folder with hard links or copies of the current files; the training replaces files and never changes them."""
        snapshot = staging_beside(self._folder)
        try:
            snapshot.mkdir(parents=True)
            for name in FILES:
                if (source := self._folder / name).exists():
                    try:
                        os.link(source, snapshot / name)
                    except OSError:  # a disk without hard links
                        shutil.copyfile(source, snapshot / name)
        except OSError as error:
            shutil.rmtree(snapshot, ignore_errors=True)  # an incomplete copy must not be uploaded
            self._warn(f"{snapshot}: cannot be written ({error.strerror or error})")
        return snapshot

    def _send(self, snapshot: Path, step: int) -> bool:
        """Upload a snapshot and remove it; return whether this process has its state or the complete output in the store."""
        try:
            if not (snapshot / LAST).exists():
                return False
            if other := self._state.send(snapshot, step):
                self._warn(
                    f"{self._state.url}: holds a state by {other.by} with at least as many steps ({other.step}); if that training is still "
                    "running, stop one of the two"
                )
                return False
        except CollidekitError as error:
            self._warn(f"the state of the training is saved here, but not in the store: {error}")
            return False
        finally:
            with suppress(OSError):
                shutil.rmtree(snapshot)
        return True

    def _warn(self, text: str) -> None:
        """Print a problem, unless it was the last one printed."""
        if text != self._warned:
            notice(text)
        self._warned = text
