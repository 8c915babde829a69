"""Folders for the time of a run; those of runners that were killed are removed later."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collidekit.benchmark.sandbox.owner import PREFIX, owner_is_gone, owner_tag


@contextmanager
def staging_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder that only this user reads, below a given one or that for temporary files; it is removed at the end of the block."""
    with tempfile.TemporaryDirectory(
        prefix=f"{PREFIX}-{owner_tag()}-", dir=parent, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def sweep_staging() -> int:
    """Remove the temporary folders of runners that were killed; return how many there were."""
    left = [path for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}-*-*-*-*-*") if owner_is_gone(_owner(path))]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _owner(path: Path) -> str:
    return path.name.removeprefix(f"{PREFIX}-").rpartition("-")[0]
