"""The output folder of a running command: what is in it is counted, and taken at the end."""

import os
from pathlib import Path
from typing import Protocol

from attrs import frozen

from collidekit.benchmark.sandbox.collect import MOST_FILES, collect, count_entries
from collidekit.benchmark.sandbox.job import Job
from collidekit.benchmark.sandbox.tmpfs import file_count, is_full


class Output(Protocol):
    """Folder that a command writes to."""

    def look(self) -> str:
        """Return ``files`` or ``output`` where a limit is exceeded, else an empty string."""

    def is_full(self) -> bool:
        """Return True where nothing more can be written."""

    def take(self, job: Job) -> None:
        """Copy the files to the output folder of a job; see ``collect``."""


@frozen
class MemoryOutput:
    """A folder in memory, which the kernel keeps to its size; it stays readable after the sandbox has ended."""

    handle: int

    def look(self) -> str:
        """Return ``files`` where there are too many."""
        return "files" if file_count(self.handle) > MOST_FILES else ""

    def is_full(self) -> bool:
        """Return True where no byte more fits."""
        return is_full(self.handle)

    def take(self, job: Job) -> None:
        """Copy the files to the output folder of a job."""
        collect(self.handle, job.output, job.limits.output)


@frozen
class FolderOutput:
    """A folder on a disk, which is only checked ten times per second; between two checks it may grow beyond the limit."""

    path: Path
    limit: int

    def look(self) -> str:
        """Return ``files`` or ``output`` where a limit is exceeded."""
        entries, size = count_entries(self.path)
        return "files" if entries > MOST_FILES else "output" if size > self.limit else ""

    def is_full(self) -> bool:
        """Return False: a folder on a disk is never full by its limit."""
        return False

    def take(self, job: Job) -> None:
        """Copy the files to the output folder of a job."""
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            collect(handle, job.output, job.limits.output)
        finally:
            os.close(handle)
