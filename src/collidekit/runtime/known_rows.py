"""The training rows of the graphs of a bundle, as sketches of their inputs in separate files."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from collidekit.dataset.learned import LearnedFrom
from collidekit.errors import CollidekitError
from collidekit.files import replacing
from collidekit.runtime.folder import REMEDY, read_checked


def write_sketches(folder: Path, learned: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write the sketches of ``LearnedFrom.as_dict`` into a folder; return the same with the names and checksums of these files."""
    found = []
    for entry in map(dict, learned):
        if sketch := entry.get("sketch"):
            content = json.dumps(sketch).encode()
            checksum = hashlib.sha256(content).hexdigest()
            name = f"training_rows_{checksum[:12]}.json"
            with replacing(folder / name) as temporary:
                temporary.write_bytes(content)
            entry["sketch"] = {"file": name, "sha256": checksum, "bytes": len(content)}
        found.append(entry)
    return found


def read_learned(folder: Path, learned: Iterable[Mapping[str, Any]]) -> tuple[LearnedFrom, ...]:
    """Return what a graph of a bundle was trained on; raise CollidekitError if a file is missing or damaged."""
    found = []
    for entry in map(dict, learned):
        if place := entry.get("sketch"):
            path = folder / str(place["file"])
            content = read_checked(folder, path, int(place["bytes"]), str(place["sha256"]))
            try:
                entry["sketch"] = json.loads(content)
            except ValueError as error:
                raise CollidekitError(f"{path}: is damaged ({error}); {REMEDY}") from None
        found.append(LearnedFrom.read(entry))
    return tuple(found)
