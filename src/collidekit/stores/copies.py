"""The local copy of a stored output in the results folder, with a note of its content."""

import json
import time
from pathlib import Path
from typing import Any

from collidekit.files import write_text
from collidekit.stores.marker import MARKER, Marker, sha256_of


class Copy:
    """The folder of an output in the results folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def content(self) -> str:
        """Return the content of the store that this output is a copy of, or was made from; empty if it is not from a store."""
        return str(self._noted().get("content", "")) if self._run.is_file() else ""

    @property
    def remade(self) -> bool:
        """Return whether the output was made again after the download, such as a search with more trials."""
        try:
            return bool(self.content) and self._noted()["files"]["run.json"]["sha256"] != sha256_of(self._run)
        except (KeyError, TypeError):
            return False

    @property
    def _run(self) -> Path:
        return self._folder / "run.json"

    def _noted(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self._folder / MARKER).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def note(self, marker: Marker) -> None:
        """Write the note that the output in this folder has this content."""
        write_text(self._folder / MARKER, marker.written().decode())


def set_aside(folder: Path) -> Path | None:
    """Rename a folder to a hidden name that ``collidekit clean`` removes; return None if the folder is empty or missing."""
    try:
        if not any(folder.iterdir()):
            folder.rmdir()
            return None
    except FileNotFoundError:
        return None
    aside = folder.with_name(f".{folder.name}.{time.time_ns()}.removed")
    folder.rename(aside)
    return aside
