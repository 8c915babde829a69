"""Messages of a machine as participants may read them: they name no folder of it."""

import re
from pathlib import Path

_FOLDERS = re.compile(r"(?<![\w.~/])~?/(?:[^\s/:;,'\"()]+/)+")
"""The folders of an absolute path; the last part is left."""


def without_folders(text: str, *known: Path) -> str:
    """Return a message whose absolute paths are names of files only; ``known`` are folders whose names may hold blanks."""
    for folder in sorted(map(str, known), key=len, reverse=True):
        text = text.replace(f"{folder}/", "").replace(folder, "the folder of the service")
    return _FOLDERS.sub("", text)
