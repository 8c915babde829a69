"""The state of an unfinished training in a store, from which another machine goes on.

In the store's folder of the output, ``unfinished/state.json`` is the marker: it names a folder with the files of one state. A state is
written as a whole, and replaces another one only if more steps are done in it. It goes when the complete output is stored.
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

    Every method raises one ``CollidekitError`` where the store refuses something, or does not answer for about a minute.
    """

    def __init__(self, output: StoredOutput) -> None:
        self._output = output
        self._server: Server = output.server
        self._place = f"{output.place}/{UNFINISHED}"
        self._marker_path = f"{self._place}/{STATE}"
        self.url = self._server.at(self._place)
        self._own = ""
        """The content of the state in the store that is of this training here."""

    def marker(self) -> StateMarker | None:
        """Return the marker as it is in the store now; None where there is no state."""
        content = self._ask(self._marker_path, partial(self._server.read, self._marker_path))
        return read_marker(self._server.at(self._marker_path), content, self._remedy, StateMarker) if content else None

    @property
    def _remedy(self) -> str:
        return f"remove {self.url} from the store: the training goes on from the state here, or begins again"

    def fetch(self, step: int) -> StateMarker | None:
        """Bring the state here if more than ``step`` steps are done in it; returns its marker, or None where it is not needed."""
        if (marker := self.marker()) is None or marker.step <= step:
            return None
        folder = self._output.folder
        try:
            staging = download(self._server, f"{self._place}/{marker.content}", marker, folder, self._remedy)
        except CollidekitError:
            newer = self.marker()
            if newer is None or newer.content == marker.content:
                raise
            return self.fetch(step)  # a training at work has replaced it meanwhile
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in sorted(marker.files, key=lambda name: name == LAST):  # last.pt after what belongs to it
                (staging / name).replace(folder / name)
            shutil.rmtree(staging)
        except OSError as error:
            raise CollidekitError(f"{folder}: cannot be written ({error.strerror or error})") from error
        self._own = marker.content
        return marker

    def send(self, folder: Path, step: int) -> StateMarker | None:
        """Store the files of a folder as the state after ``step`` steps.

        Returns None, or the marker of a state of another process in which as many steps are done: then that one stays. Nothing is
        stored where the complete output is.
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
        """Return a state of another process in which as many steps are done, or None."""
        return now if now is not None and now.content != self._own and now.step >= step else None

    def _commit(self, marker: StateMarker) -> StateMarker | None:
        """Write the marker and remove the files of the state that it replaces; returns what ``send`` returns."""
        path, before = self._marker_path, self.marker()
        if before is None and self._ask(path, partial(self._server.create, path, marker.written())):
            return None
        before = (
            before or self.marker()
        )  # another process has just written it; or it is an empty one of a killed process
        if other := self._further(before, marker.step):
            return other
        self._ask(path, partial(self._server.replace, path, marker.written()))
        if before is not None and before.content != marker.content:
            old = f"{self._place}/{before.content}"
            self._ask(old, partial(self._server.remove, old))
        return None

    def remove(self) -> None:
        """Remove the state, its marker first: the training begins again."""
        for path in (self._marker_path, self._place):
            self._ask(path, partial(self._server.remove, path))

    def _ask(self, path: str, action: Callable[[], T]) -> T:
        return trying(self._server.at(path), action)
