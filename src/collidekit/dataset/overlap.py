"""Test files that a training has learned from."""

from pathlib import Path
from typing import Any

from collidekit.dataset.manifest import Manifest


def overlap_note(trained: Manifest, judged: Manifest) -> str:
    """Return a warning that names the judged files with the content of a training file; empty where there are none."""
    learned = {content_of(entry["id"]) for entry in trained.inputs if "id" in entry}
    same = [Path(entry["path"]).name for entry in judged.inputs if "id" in entry and content_of(entry["id"]) in learned]
    if not same:
        return ""
    shown = ", ".join(same[:3]) + (f" and {len(same) - 3} more" if len(same) > 3 else "")
    return (
        f"TESTED ON TRAINING ROWS: {len(same)} of {len(judged.inputs)} test files ({shown}) have the content of training files, "
        "so all numbers look better than they are; take test files that the network has not learned from"
    )


def content_of(identity: dict[str, Any]) -> tuple[Any, ...]:
    """Return the part of a file's identity that a copy of the file shares."""
    return tuple(value for key, value in sorted(identity.items()) if key not in ("mtime", "modified"))
