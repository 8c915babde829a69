"""The state of an unfinished training in a store, from which another machine can continue.

In the folder of the output in the store, ``unfinished/state.json`` is the marker. It names a folder with the files of
one state. A state replaces another one only if it has more steps. It is removed when the complete output is stored.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from collidekit.errors import CollidekitError
from collidekit.readers.server import trying
from collidekit.stores.marker import StateMarker, marker_of, read_marker
from collidekit.stores.output import StoredOutput
from collidekit.stores.server import Server
from collidekit.stores.transfer import download, upload

UNFINISHED, STATE = "unfinished", "state.json"
LAST = "last.pt"

T = TypeVar("T")


class StoredState:
    """The state of one training in a store.

    Methods raise CollidekitError if the store refuses a request, or does not answer for about a minute.
    """

    def __init__(self, output: StoredOutput) -> None:
        self._output = output
        self._server: Server = output.server
        self._place = f"{output.place}/{UNFINISHED}"
        self._marker_path = f"{self._place}/{STATE}"
        self.url = self._server.at(self._place)
        self._own = ""
        """Content of the last state in the store that this process downloaded or uploaded."""

    def marker(self) -> StateMarker | None:
        """Return the current marker of the store; None if there is no state."""
        content = self._ask(self._marker_path, partial(self._server.read, self._marker_path))
        return read_marker(self._server.at(self._marker_path), content, self._remedy, StateMarker) if content else None

    @property
    def _remedy(self) -> str:
        return f"remove {self.url} from the store: the training continues from the local state, or begins again"

    def fetch(self, step: int) -> StateMarker | None:
        """Download the state if it has more than ``step`` steps; return its marker, or None if it is not needed."""
        if (marker := self.marker()) is None or marker.step <= step:
            return None
        folder = self._output.folder
        try:
            staging = download(self._server, f"{self._place}/{marker.content}", marker, folder, self._remedy)
        except CollidekitError:
            newer = self.marker()
            if newer is None or newer.content == marker.content:
                raise
            return self.fetch(step)  # a running training has replaced it meanwhile
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in sorted(
                marker.files, key=lambda name: name == LAST
            ):  # last.pt after the files that belong to it
                (staging / name).replace(folder / name)
            shutil.rmtree(staging)
        except OSError as error:
            raise CollidekitError(f"{folder}: cannot be written ({error.strerror or error})") from error
        self._own = marker.content
        return marker

    def send(self, folder: Path, step: int) -> StateMarker | None:
        """Upload the files of a folder as the state after ``step`` steps.

        Return None, or the marker of a state of another process with at least as many steps; that state is kept.
        Nothing is uploaded if the store has the complete output.
        """
        files = marker_of(folder)
        marker = StateMarker(files.content, files.files, files.by, step)
        if self._output.complete:
            return None
        if other := self._further(self.marker(), step):
            return other
        upload(self._server, f"{self._place}/{marker.content}", folder, marker, shown=False)
        other = self._commit(marker)
        self._own = self._own if other else marker.content
        return other

    def _further(self, now: StateMarker | None, step: int) -> StateMarker | None:
        """Return ``now`` if it is a state of another process with at least ``step`` steps, else None."""
        return now if now is not None and now.content != self._own and now.step >= step else None

    def _commit(self, marker: StateMarker) -> StateMarker | None:
        """Write the marker and remove the files of the replaced state; return the same as ``send``."""
        path, before = self._marker_path, self.marker()
        if before is None and self._ask(path, partial(self._server.create, path, marker.written())):
            return None
        # another process has just written it, or it is an empty marker of a killed process
        before = before or self.marker()
        if other := self._further(before, marker.step):
            return other
        self._ask(path, partial(self._server.replace, path, marker.written()))
        if before is not None and before.content != marker.content:
            old = f"{self._place}/{before.content}"
            self._ask(old, partial(self._server.remove, old))
        return None

    def remove(self) -> None:
        """Remove the state, its marker first, so that the training begins again."""
        for path in (self._marker_path, self._place):
            self._ask(path, partial(self._server.remove, path))

    def _ask(self, path: str, action: Callable[[], T]) -> T:
        return trying(self._server.at(path), action)
