"""Folders in memory with a limit: /output and /tmp of a sandbox."""

import os

from collidekit.benchmark.sandbox.job import JobLimits

LARGEST_TMP = 256 << 20
"""Bytes of /tmp, which count as memory."""


def tmp_size(limits: JobLimits) -> int:
    """Return the bytes of /tmp and /dev/shm: a quarter of the memory, 256 MB at most."""
    return min(LARGEST_TMP, limits.memory // 4)


def file_count(folder: int) -> int:
    """Return how many files and folders an open folder in memory has."""
    status = os.statvfs(folder)
    return max(0, status.f_files - status.f_ffree - 1)


def is_full(folder: int) -> bool:
    """Return True where an open folder in memory has no room left."""
    return os.statvfs(folder).f_bfree == 0
