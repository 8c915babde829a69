"""The truth is never mounted: a job whose mounts hold a private file is refused."""

import copy
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from collidekit.benchmark.sandbox.job import Job, Sandbox
from collidekit.errors import CollidekitError


def refuse_private(job: Job, private: tuple[Path, ...]) -> None:
    """Raise an error where a mount is a private file or folder, lies in one, or holds one."""
    for mount in job.mounts:
        source = mount.source.resolve()
        for path in private:
            hidden = path.resolve()
            if hidden.is_relative_to(source) or source.is_relative_to(hidden):
                raise CollidekitError(
                    f"{mount.source}: would show {path}, which is private, to the submission; keep the truth in a folder of its own"
                )


def refuse_copies_of(job: Job, truth: Mapping[Path, str]) -> None:
    """Raise an error where a mount is or holds a truth file, a link to one, or a copy of one; ``truth`` gives their SHA-256."""
    refuse_private(job, tuple(truth))
    found = [(path, path.stat(), checksum) for path, checksum in truth.items() if path.is_file()]
    for mount in job.mounts:
        for file in _files(mount.source):
            about = file.stat()
            for path, hidden, checksum in found:
                same = (about.st_dev, about.st_ino) == (hidden.st_dev, hidden.st_ino)
                if same or (about.st_size == hidden.st_size and checksum and _sha256(file) == checksum):
                    raise CollidekitError(
                        f"{file}: is {path}, which is private, or a copy of it, and would be shown to the submission; take it away"
                    )


def with_private(sandbox: Sandbox, private: tuple[Path, ...]) -> Sandbox:
    """Return the same sandbox, which keeps these files out, too."""
    if not hasattr(sandbox, "private"):
        return sandbox
    found = copy.copy(sandbox)
    found.private = tuple(dict.fromkeys((*sandbox.private, *private)))
    return found


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    for folder, _, names in os.walk(source):
        yield from (path for name in names if (path := Path(folder, name)).is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
