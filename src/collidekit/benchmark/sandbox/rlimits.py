"""Limits of each process (setrlimit), for what no control group counts or where there is none."""

import math
import os
import resource

from collidekit.benchmark.sandbox.job import JobLimits

OPEN_FILES = 4096
_QUEUES = 1 << 20


def process_limits(limits: JobLimits, tmp: int, alone: bool, memory: bool) -> dict[int, int]:
    """Return the limit of each resource for the processes of a job.

    ``tmp``: bytes of /tmp. ``alone``: whether no other process has the user id, so that processes can be counted by it.
    ``memory``: whether memory is limited here, since no control group does it; then each process has the whole limit.
    """
    found = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: max(limits.output, tmp),
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CPU: math.ceil(limits.walltime * max(1.0, limits.cpus)) + 1,
        resource.RLIMIT_MSGQUEUE: _QUEUES,
    }
    if alone:
        found[resource.RLIMIT_NPROC] = limits.processes
    if memory:
        found[resource.RLIMIT_DATA] = limits.memory
    return found


def within(name: int, wanted: int) -> int:
    """Return a limit that this process may set: what is wanted, or its own upper limit where that is lower."""
    _, hard = resource.getrlimit(name)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def set_limits(process: int, limits: dict[int, int]) -> None:
    """Set limits of a process; none is raised above what the process has."""
    for name, value in limits.items():
        _, hard = resource.prlimit(process, name)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.prlimit(process, name, (value, value))


def keep_to_cpus(process: int, cpus: float) -> None:
    """Let a process run on so many of the CPUs of this process; it may undo that."""
    mine = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(process, mine[: max(1, math.ceil(cpus))])
