"""The state of an unfinished training in the store of its task: another machine goes on from it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from collidekit.errors import CollidekitError
from collidekit.plain_text import literal
from collidekit.stores.output import StoredOutput
from collidekit.stores.sender import StateSender
from collidekit.stores.unfinished import LAST, StoredState
from collidekit.training.stopping import steps_done

if TYPE_CHECKING:
    from collidekit.training.loop import Training


class StateInStore:
    """Fetches the state before a training, and sends it during the training; without a store it does nothing."""

    def __init__(self, stored: StoredOutput | None, say: Callable[[str], None]) -> None:
        self._state = StoredState(stored) if stored else None
        self._place = stored.folder if stored else None
        self._say = say

    def begin(self, goes_on: bool) -> None:
        """Bring the state here if it is further than the one here; remove it if the training does not go on from its last state."""
        if not self._state or not self._place:
            return
        if not goes_on:
            self._state.remove()
        elif found := self._state.fetch(steps_done(self._place / LAST)):
            self._say(
                f"Fetched the state after {found.step:,} steps, of {literal(found.by)}, from {literal(self._state.url)}"
            )

    @contextmanager
    def kept(self, training: "Training") -> Iterator[None]:
        """Send the state of a training that runs in the block, and once more if it is interrupted."""
        if not self._state or not self._place:
            yield
            return
        sender = StateSender(self._state, self._place)
        training.after_save = sender.saved
        try:
            yield
        except (KeyboardInterrupt, CollidekitError):
            if sender.interrupted():
                self._say(f"The state is stored in {literal(self._state.url)}; the same command continues from it")
            raise
        finally:
            sender.wait()
