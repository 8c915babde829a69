"""Sends the state of a training at work to its store, beside the steps of the training."""

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
"""Seconds between two states that are sent."""
FILES = ("best_model.pt", "tracking.json", LAST)
"""What another machine needs to go on to the same bits."""


class StateSender:
    """Sends the state at most every ``EVERY`` seconds in a thread of its own, and once more when the training is interrupted.

    A store that fails does not end the training.
    """

    def __init__(self, state: StoredState, folder: Path) -> None:
        self._state, self._folder = state, folder
        self._thread: threading.Thread | None = None
        self._begun = time.monotonic()
        self._step = -1
        self._warned = ""

    def saved(self, step: int) -> None:
        """Note that the state after so many steps is written; send it if it is time."""
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
        """Wait until what is on its way has arrived."""
        if self._thread is not None:
            self._thread.join()

    def interrupted(self) -> bool:
        """Send the last state that was written; returns whether it is in the store."""
        self.wait()
        return self._step >= 0 and self._send(self._snapshot(), self._step)

    def _snapshot(self) -> Path:
        """Return a folder with the files as they are now, which the training replaces and never changes."""
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
            self._warn(f"{snapshot}: cannot be written ({error.strerror or error})")
        return snapshot

    def _send(self, snapshot: Path, step: int) -> bool:
        try:
            if not (snapshot / LAST).exists():
                return False
            if other := self._state.send(snapshot, step):
                self._warn(
                    f"{self._state.url}: holds a state of {other.by} with as many steps or more ({other.step}); if it trains the same at this "
                    "moment, end one of the two"
                )
        except CollidekitError as error:
            self._warn(f"the state of the training is saved here, but not in the store: {error}")
            return False
        finally:
            with suppress(OSError):
                shutil.rmtree(snapshot)
        return True

    def _warn(self, text: str) -> None:
        """Say a problem once, until there is another one."""
        if text != self._warned:
            notice(text)
        self._warned = text
