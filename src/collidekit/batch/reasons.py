"""Reason for the end of a job, from the state of the queue, the completion file and the log."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from collidekit.batch.units import show_memory


class Reason(StrEnum):
    DONE = "done"
    MEMORY = "memory"
    WALLTIME = "walltime"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    DISK = "disk"
    PROGRAM = "program"
    NODE = "node"
    LOST = "lost"


@dataclass(frozen=True)
class QueueState:
    """State of a job in the batch system: whether it may still run, and the reason of its end if known."""

    alive: bool
    words: str = ""
    reason: Reason | None = None
    host: str = ""
    running: bool = False
    held: bool = False
    peak_memory: float = 0.0


GONE = QueueState(False, "the batch system does not know the job any more")
_NO_MEMORY = re.compile(r"MemoryError|Exceeded job memory limit|exceeded memory limit|oom[-_]kill|std::bad_alloc|DefaultCPUAllocator: "
                        r"can't allocate|CUDA out of memory", re.IGNORECASE)  # fmt: skip
_OVER = re.compile(r"exceeded memory limit \((\d+) > \d+\)")
_NO_DISK = re.compile(r"No space left on device|Disk quota exceeded")
_STOPPED_BY_SYSTEM = {"SIGTERM", "SIGUSR2"}
_FULL = 0.9
"""A killed job that used at least this fraction of its memory was killed because of memory."""


def peak_memory(queue: QueueState, completed: Mapping[str, Any], log: str) -> float:
    """Return the peak memory of a job in megabytes; 0 if it is not known."""
    said = [int(number) / 2**20 for number in _OVER.findall(log)]
    return max(float(completed.get("peak_memory") or 0.0), queue.peak_memory, *said)


def explain(queue: QueueState, completed: Mapping[str, Any], log: str, memory: int) -> tuple[Reason, str]:
    """Return the reason and one phrase about it. ``memory`` is the requested memory in megabytes."""
    peak = peak_memory(queue, completed, log)
    used = f"used {show_memory(peak)} of {show_memory(memory)}" if peak else f"requested {show_memory(memory)}"
    if completed and completed.get("exit_code") == 0:
        return Reason.DONE, ""
    killed = completed.get("signal") == "SIGKILL" or completed.get("exit_code") == 137
    if queue.reason == Reason.MEMORY or completed.get("killed_for_memory") or _NO_MEMORY.search(log) or (
        killed and peak > _FULL * memory
    ):  # fmt: skip
        return Reason.MEMORY, f"out of memory: {used}"
    if found := _NO_DISK.search(log):
        return Reason.DISK, f"no space left on the disk: {found[0]}"
    if completed.get("told") == "walltime" and queue.reason not in (Reason.PREEMPTED, Reason.CANCELLED, Reason.NODE):
        return Reason.WALLTIME, "the walltime was reached"
    if queue.reason is not None and queue.reason != Reason.PROGRAM:
        return queue.reason, queue.words
    if completed.get("told") in _STOPPED_BY_SYSTEM:
        return Reason.PREEMPTED, f"the batch system told the job to stop ({completed['told']})"
    if completed and killed:
        return Reason.NODE, "the process was killed, but not because of memory"
    if completed:
        return Reason.PROGRAM, f"the program ended with exit code {completed.get('exit_code')}"
    if queue.reason == Reason.PROGRAM:
        return Reason.PROGRAM, f"the job script failed before the program began or could report ({queue.words})"
    return Reason.LOST, queue.words or GONE.words
