"""Construction and prediction by several ranks: each makes one part in a process, and the first rank joins them."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from collidekit.errors import CollidekitError
from collidekit.ranks.environment import Place
from collidekit.tasks.base import AnalysisTask
from collidekit.training.ranks import PARTS, Leader, leader

if TYPE_CHECKING:
    from collidekit.tasks.work import PartProcess

SILENT = 45.0
"""Seconds without a heartbeat after which a rank counts as ended."""
POLL = 0.3
"""Seconds between two heartbeats, and between two checks of the others."""
CONTINUES = "finished work is kept, and the same command continues"


def number_of_ranks(task: AnalysisTask) -> int:
    """Return the number of ranks: from the launcher, or from ``--devices``."""
    first = leader()
    return first.place.size if first else max(task.devices, 1)


def make_by_ranks(task: AnalysisTask, kind: type[AnalysisTask]) -> list[AnalysisTask]:
    """Make one part of the output of a task in each rank; return all parts, none for a single process."""
    from collidekit.tasks.work import run_side_by_side, words_of

    first, size = leader(), number_of_ranks(task)
    if size == 1:
        return []
    parts = [kind.req(task, part=f"{number}/{size}", devices=0, nodes=1) for number in range(1, size + 1)]
    missing = [part for part in parts if not part.complete()]
    task.say(f"{size} ranks make one part each")
    if first and missing:
        _lead(first, [list(words_of(part)) for part in missing])
    elif missing:
        run_side_by_side(missing, size)
    return parts


class _PartQueue:
    """Parts of one rank, which run one after another in processes."""

    def __init__(self, words: Sequence[list[str]], place: Place) -> None:
        self._left, self._device = list(words[place.rank :: place.size]), place.local_rank
        self._running: PartProcess | None = None

    def done(self) -> bool:
        """Start the next part if none is running; return whether all are done. Raise a CollidekitError if one fails."""
        from collidekit.tasks.work import PartProcess

        if self._running and self._running.done():
            self.end()
        if self._left and not self._running:
            self._running = PartProcess(self._left.pop(0), self._device)
        return not self._running

    def end(self) -> None:
        """Stop the running part."""
        if self._running:
            self._running.end()
        self._running = None


def share_of_rank(words: list[list[str]], store: Any, place: Place) -> None:
    """Make the parts of a rank that is not the first, and send the result to the first rank."""
    own, beat = _PartQueue(words, place), 0
    try:
        while not own.done():
            beat += 1
            store.set(f"beat/{place.rank}", str(beat))
            if store.check(["stop"]):
                return
            time.sleep(POLL)
        store.set(f"done/{place.rank}", "")
    except CollidekitError as error:
        store.set(f"done/{place.rank}", str(error))
    except RuntimeError as error:
        reason = str(error).splitlines()[0][:160]
        raise CollidekitError(
            f"rank {place.rank} of {place.size}: the first rank has ended ({reason}); see its own messages for the reason; {CONTINUES}"
        ) from None
    finally:
        own.end()


def _lead(first: Leader, words: list[list[str]]) -> None:
    """Make the parts of the first rank, and wait for those of the others; the first error stops all of them."""
    place, store = first.place, first.announce({PARTS: words})
    own = _PartQueue(words, place)
    seen = dict.fromkeys(range(1, place.size), ("", time.monotonic()))
    try:
        while not own.done() or seen:
            for rank in list(seen):
                if _has_ended(store, rank, place.size):
                    del seen[rank]
                else:
                    seen[rank] = _alive(store, rank, place.size, *seen[rank])
            time.sleep(POLL)
    finally:
        store.set("stop", "")
        own.end()


def _has_ended(store: Any, rank: int, size: int) -> bool:
    """Return whether a rank is done; raise a CollidekitError with the reason if it failed."""
    if not store.check([f"done/{rank}"]):
        return False
    if reason := bytes(store.get(f"done/{rank}")).decode():
        raise CollidekitError(f"rank {rank} of {size}: {reason}")
    return True


def _alive(store: Any, rank: int, size: int, before: str, since: float) -> tuple[str, float]:
    """Return the last heartbeat of a rank and its time; raise a CollidekitError if it is too old."""
    beat = bytes(store.get(f"beat/{rank}")).decode() if store.check([f"beat/{rank}"]) else ""
    if beat != before:
        return beat, time.monotonic()
    if time.monotonic() - since > SILENT:
        raise CollidekitError(
            f"rank 0 of {size}: another rank is gone: rank {rank} sent no heartbeat for {SILENT:.0f} s; {CONTINUES}"
        )
    return before, since
