"""State of an unfinished training in a store, from which another machine can continue."""

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
    """Copy of the training state in a store: downloaded before and uploaded during a training; without a store, no copy."""

    def __init__(self, stored: StoredOutput | None, say: Callable[[str], None]) -> None:
        self._state = StoredState(stored) if stored else None
        self._place = stored.folder if stored else None
        self._say = say

    def begin(self, continues: bool) -> None:
        """Download the state if it has more steps than the local one; remove it if the training starts again."""
        if not self._state or not self._place:
            return
        if not continues:
            self._state.remove()
        elif found := self._state.fetch(steps_done(self._place / LAST)):
            self._say(
                f"Fetched the state after {found.step:,} steps, of {literal(found.by)}, from {literal(self._state.url)}"
            )

    @contextmanager
    def kept(self, training: "Training") -> Iterator[None]:
        """Upload the state during the training in the block, and after an interruption."""
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
