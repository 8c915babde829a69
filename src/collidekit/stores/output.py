"""One output in a store: uploaded when it is complete, downloaded when it is needed.

For each output, a store has a folder for each uploaded content, and a marker that names the valid folder. The marker
is written last. It is written only if there is no marker, or the marker of the content that this output was made from.
So the files of two writers are never mixed.
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
    """An output in a store and its copy in the results folder.

    Methods raise CollidekitError if the store refuses a request, or does not answer for about a minute.
    """

    def __init__(self, store: str, folder: Path, results: Path, lock: Path) -> None:
        self.server: Server = server_at(store)
        self.folder, self._lock = folder, lock
        self.place = folder.relative_to(results).as_posix()
        self.url = self.server.at(self.place)
        self._known: Marker | None = None
        self._compared = False

    def holds(self, name: str) -> bool:
        """Return whether the store holds the complete output with this file, and the local copy was not made again."""
        self._known = self._known or self.marker()
        return self._known is not None and name in self._known.files and not Copy(self.folder).remade

    @property
    def complete(self) -> bool:
        """Return whether the store holds the complete output."""
        return self.marker() is not None

    def marker(self) -> Marker | None:
        """Return the current marker of the store; None if the output is not stored."""
        path = f"{self.place}/{MARKER}"
        content = self._ask(path, partial(self.server.read, path))
        return read_marker(self.server.at(path), content, self._remedy) if content else None

    @property
    def _remedy(self) -> str:
        return (
            f"remove {self.url} from the store and run the same command again: a complete local copy is uploaded again, otherwise the "
            "output is made again"
        )

    def fetch(self) -> None:
        """Download the output if the store has it; this replaces a local output with another content."""
        if self._compared or (marker := self.marker()) is None:
            return
        if Copy(self.folder).content != marker.content:
            with alone(self._lock):
                self._replace_copy(marker)
        self._known, self._compared = marker, True

    def _replace_copy(self, marker: Marker) -> None:
        """Replace the folder with a copy of the stored output."""
        if Copy(self.folder).content == marker.content:  # another process was faster
            return
        try:
            staging = download(self.server, f"{self.place}/{marker.content}", marker, self.folder, self._remedy)
        except CollidekitError:
            newer = self.marker()
            if newer is None or newer.content == marker.content:
                raise
            self._replace_copy(newer)
            return
        aside = set_aside(self.folder)
        staging.rename(self.folder)
        if aside:
            notice(
                f"{self.folder}: differed from {self.url}; it was renamed to {aside}, which 'collidekit clean' offers to remove"
            )

    def send(self) -> str:
        """Upload the complete output of the folder and return a message. Files that are in the store are not uploaded again.

        If another writer has stored the same output meanwhile, its output is downloaded, and the local one is set
        aside.
        """
        marker, before = marker_of(self.folder), Copy(self.folder).content
        try:
            if self._is_free_for(marker, before):
                upload(self.server, f"{self.place}/{marker.content}", self.folder, marker)
            won = self._is_free_for(marker, before) and self._commit(marker, before)
        except CollidekitError as error:
            if self._is_free_for(marker, before):
                raise CollidekitError(
                    f"{error}; the output is complete in {self.folder}, and the same command uploads it"
                ) from None
            won = False
        if won:
            Copy(self.folder).note(marker)
        self._remove_others(self.marker())
        self._compared = won
        self.fetch()
        if not won:
            return f"Another writer stored {self.url} meanwhile: its output is used"
        return f"Stored {len(marker.files)} files ({decimal(marker.size)}) in {self.url}"

    def _is_free_for(self, marker: Marker, before: str) -> bool:
        """Return whether the store has no content, this content, or the content that this output was made from."""
        now = self.marker()
        return now is None or now.content in (marker.content, before)

    def _commit(self, marker: Marker, before: str) -> bool:
        """Write the marker and return whether it is the valid one."""
        path, now = f"{self.place}/{MARKER}", self.marker()
        if now is None and not self._ask(path, partial(self.server.create, path, marker.written())):
            now = self._wait_for_marker(path)
        if now is not None and now.content == before != marker.content:
            self._ask(path, partial(self.server.replace, path, marker.written()))
        found = self.marker()
        return found is not None and found.content == marker.content

    def _wait_for_marker(self, path: str) -> Marker | None:
        """Return the marker that another writer is writing; remove an empty marker of a killed writer."""
        time.sleep(2)
        if (found := self.marker()) is None:
            self._ask(path, partial(self.server.remove, path))
            raise CollidekitError(f"{self.server.at(path)}: was empty; run the same command again")
        return found

    def _remove_others(self, valid: Marker | None) -> None:
        """Remove files of killed and slower writers, and print a notice if that fails."""
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
            notice(f"{self.url}: files that are no longer needed could not be removed ({error})")

    def remove(self) -> bool:
        """Remove the output from the store, its marker first, and return whether there was one."""
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
    """Write a small file into a store and remove it, so that a store that refuses is an error before the work begins."""
    server, name = server_at(store), f".collidekit-{uuid4().hex}"
    if not trying(store, lambda: server.create(name, b"collidekit can write here\n")):
        raise StoreError(f"{store}: a new file could not be created")
    trying(store, lambda: server.remove(name))
