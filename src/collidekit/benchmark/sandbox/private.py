"""The truth is never mounted: a job whose mounts hold a private file is refused."""

from pathlib import Path

from collidekit.benchmark.sandbox.job import Job
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
