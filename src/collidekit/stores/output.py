"""One output in a store: sent when it is complete here, fetched when it is needed here.

A store has, for each output, a folder for each content that was ever sent, and a marker that names the valid one. The marker
is written last, and only if there is none, or the one that this output was made from. So two writers never mix their files.
"""

import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from rich.filesize import decimal

from collidekit.errors import CollidekitError
from collidekit.lease import alone
from collidekit.progress import notice
from collidekit.readers.server import trying
from collidekit.stores.copies import Copy, set_aside
from collidekit.stores.marker import MARKER, TEMPORARY, Marker, marker_of, read_marker
from collidekit.stores.server import Server, StoreError, server_at
from collidekit.stores.transfer import download, upload

T = TypeVar("T")


class StoredOutput:
    """An output in a store and its copy in a folder here.

    Every method raises one ``CollidekitError`` where the store refuses something, or does not answer for about a minute.
    """

    def __init__(self, store: str, folder: Path, results: Path, lock: Path) -> None:
        self.server: Server = server_at(store)
        self.folder, self._lock = folder, lock
        self.place = folder.relative_to(results).as_posix()
        self.url = self.server.at(self.place)
        self._known: Marker | None = None
        self._compared = False

    def holds(self, name: str) -> bool:
        """Return whether the store holds the complete output with this file, and none was made from it here that must be sent."""
        self._known = self._known or self.marker()
        return self._known is not None and name in self._known.files and not Copy(self.folder).remade

    @property
    def complete(self) -> bool:
        """Return whether the store holds the complete output."""
        return self.marker() is not None

    def marker(self) -> Marker | None:
        """Return the marker as it is in the store now; None where the output is not stored."""
        path = f"{self.place}/{MARKER}"
        content = self._ask(path, partial(self.server.read, path))
        return read_marker(self.server.at(path), content, self._remedy) if content else None

    @property
    def _remedy(self) -> str:
        return (
            f"remove {self.url} from the store and run the same command again: a complete copy here is sent again, else the output is "
            "made again"
        )

    def fetch(self) -> None:
        """See that the folder here holds the output, if the store has it; what the store has replaces another content."""
        if self._compared or (marker := self.marker()) is None:
            return
        if Copy(self.folder).content != marker.content:
            with alone(self._lock):
                self._take(marker)
        self._known, self._compared = marker, True

    def _take(self, marker: Marker) -> None:
        """Make the folder a copy of what is stored."""
        if Copy(self.folder).content == marker.content:  # another process was faster
            return
        try:
            staging = download(self.server, f"{self.place}/{marker.content}", marker, self.folder, self._remedy)
        except CollidekitError:
            newer = self.marker()
            if newer is None or newer.content == marker.content:
                raise
            self._take(newer)
            return
        aside = set_aside(self.folder)
        staging.rename(self.folder)
        if aside:
            notice(
                f"{self.folder}: was not what {self.url} holds; it is now {aside}, which 'collidekit clean' offers to remove"
            )

    def send(self) -> str:
        """Store the complete output of the folder; returns what to say of it. Files that are in the store are not sent again.

        If another writer has stored the same output meanwhile, that one is taken, and the one here is set aside.
        """
        marker, before = marker_of(self.folder), Copy(self.folder).content
        try:
            if self._is_free_for(marker, before):
                upload(self.server, f"{self.place}/{marker.content}", self.folder, marker)
            won = self._is_free_for(marker, before) and self._commit(marker, before)
        except CollidekitError as error:
            if self._is_free_for(marker, before):
                raise CollidekitError(
                    f"{error}; the output is complete in {self.folder}, and the same command sends it"
                ) from None
            won = False
        if won:
            Copy(self.folder).note(marker)
        self._remove_others(self.marker())
        self._compared = won
        self.fetch()
        if not won:
            return f"Another writer stored {self.url} meanwhile: its output is taken"
        return f"Stored {len(marker.files)} files ({decimal(marker.size)}) in {self.url}"

    def _is_free_for(self, marker: Marker, before: str) -> bool:
        """Return whether the store has nothing, this very content, or the one that this was made from."""
        now = self.marker()
        return now is None or now.content in (marker.content, before)

    def _commit(self, marker: Marker, before: str) -> bool:
        """Write the marker; returns whether it is the one that counts."""
        path, now = f"{self.place}/{MARKER}", self.marker()
        if now is None and not self._ask(path, partial(self.server.create, path, marker.written())):
            now = self._after_a_moment(path)
        if now is not None and now.content == before != marker.content:
            self._ask(path, partial(self.server.replace, path, marker.written()))
        found = self.marker()
        return found is not None and found.content == marker.content

    def _after_a_moment(self, path: str) -> Marker | None:
        """Return the marker that another writer has begun; an empty one, of a killed writer, is removed."""
        time.sleep(2)
        if (found := self.marker()) is None:
            self._ask(path, partial(self.server.remove, path))
            raise CollidekitError(f"{self.server.at(path)}: was empty; run the same command again")
        return found

    def _remove_others(self, valid: Marker | None) -> None:
        """Remove what killed and slower writers left, as far as it can be done."""
        if valid is None:
            return
        folders = {f"{self.place}/{valid.content}/{name}".rpartition("/")[0] for name in valid.files}
        try:
            left = [
                f"{self.place}/{name}" for name in self.server.names(self.place) if name not in (MARKER, valid.content)
            ]
            left += [f"{at}/{name}" for at in folders for name in self.server.names(at) if TEMPORARY.fullmatch(name)]
            for path in left:
                self.server.remove(path)
        except CollidekitError as error:
            notice(f"{self.url}: what is not needed any more could not be removed ({error})")

    def remove(self) -> bool:
        """Remove the output from the store, its marker first; returns whether there was one."""
        self._known, self._compared = None, False
        if not (found := self._ask(self.place, partial(self.server.names, self.place))):
            return False
        for path in (f"{self.place}/{MARKER}", self.place):
            self._ask(path, partial(self.server.remove, path))
        return bool(found)

    def _ask(self, path: str, action: Callable[[], T]) -> T:
        return trying(self.server.at(path), action)


@cache
def check_writable(store: str) -> None:
    """Write a small file into a store and remove it; an error before hours of work where that fails."""
    server, name = server_at(store), f".collidekit-{uuid4().hex}"
    if not trying(store, lambda: server.create(name, b"collidekit can write here\n")):
        raise StoreError(f"{store}: a file that was not there could not be created")
    trying(store, lambda: server.remove(name))
