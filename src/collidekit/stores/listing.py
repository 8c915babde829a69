"""List of a store: complete outputs, states of unfinished trainings, and files that can be removed."""

from collections.abc import Iterator
from enum import StrEnum
from functools import partial

from attrs import frozen

from collidekit.outputs.find import VERSIONS
from collidekit.readers.server import trying
from collidekit.stores.marker import MARKER, Marker, StateMarker, read_marker
from collidekit.stores.server import Server, server_at
from collidekit.stores.unfinished import STATE, UNFINISHED

REMEDY = "remove its folder from the store, and run the command of this output again"


class InStore(StrEnum):
    """State of an output in a store."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    NO_MARKER = "no marker"


@frozen
class StoredEntry:
    """One output in a store."""

    server: Server
    place: str
    """Path of the output below the URL of the store."""
    state: InStore
    size: int | None
    """Size in bytes; None without a marker."""
    by: str = ""
    step: int = 0
    """Number of optimizer steps in the state of an unfinished training."""
    left_over: tuple[str, ...] = ()
    """Names in the folder of a complete output that nothing needs: other contents, and states from before the end."""

    def remove_left_over(self) -> int:
        """Remove the leftovers and return their number.

        A process that uploads the same output at this moment finds it complete.
        """
        for name in self.left_over:
            path = f"{self.place}/{name}"
            trying(self.server.at(path), partial(self.server.remove, path))
        return len(self.left_over)


def find_stored(url: str) -> list[StoredEntry]:
    """Return all outputs of a store, sorted by path."""
    server = server_at(url)
    known = [task for task in _names(server, "") if task in VERSIONS]
    places = [place for task in sorted(known) for place in _places(server, task, 2 + VERSIONS[task])]
    return [_entry(server, place) for place in places]


def _places(server: Server, folder: str, deeper: int) -> Iterator[str]:
    if not deeper:
        yield folder
        return
    for name in sorted(_names(server, folder)):
        if not name.startswith("."):
            yield from _places(server, f"{folder}/{name}", deeper - 1)


def _entry(server: Server, place: str) -> StoredEntry:
    path = f"{place}/{MARKER}"
    if text := trying(server.at(path), partial(server.read, path)):
        marker = read_marker(server.at(path), text, REMEDY, Marker)
        others = tuple(sorted(name for name in _names(server, place) if name not in (MARKER, marker.content)))
        return StoredEntry(server, place, InStore.COMPLETE, marker.size, marker.by, left_over=others)
    path = f"{place}/{UNFINISHED}/{STATE}"
    if text := trying(server.at(path), partial(server.read, path)):
        state = read_marker(server.at(path), text, REMEDY, StateMarker)
        return StoredEntry(server, place, InStore.INTERRUPTED, state.size, state.by, state.step)
    return StoredEntry(server, place, InStore.NO_MARKER, None)


def _names(server: Server, folder: str) -> list[str]:
    return trying(server.at(folder), partial(server.names, folder))
