"""Parts of a dataset that jobs made, each for a share of all rows."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from collidekit.errors import CollidekitError


def take_parts(folders: Sequence[Path], output: Path) -> None:
    """Move the parts that ``construct_share`` made in each folder to the place where ``construct`` finds them.

    Parts of another construction, and damaged parts, are made again by ``construct``.
    """
    parts = output / "parts"
    note = parts / "job.json"
    try:
        for folder in folders:
            source = folder / "parts"
            if not (source / "job.json").is_file():
                continue
            if parts.exists() and not (note.is_file() and _same(note, source / "job.json")):
                shutil.rmtree(parts)
            parts.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / "job.json", note)
            for path in sorted(source.glob("[0-9]*")):  # a part before its .json, which marks it as complete
                path.replace(parts / path.name)
    except OSError as error:
        raise CollidekitError(f"{output}: cannot be written ({error.strerror or error})") from error


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()
