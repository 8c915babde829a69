"""Resources that the processes of a sandbox use while they run, and the limit that they exceed."""

import os
from pathlib import Path
from typing import Protocol

from attrs import define, evolve, field

from collidekit.benchmark.sandbox.cgroup import Cgroup, Usage
from collidekit.benchmark.sandbox.job import JobLimits
from collidekit.benchmark.sandbox.processes import Init

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


class Watch(Protocol):
    """Checks a sandbox ten times per second."""

    usage: Usage
    sampled: bool
    """True where only looks from time to time tell what is used."""

    def look(self) -> str:
        """Take note of what is used and return the name of a limit that is exceeded, or an empty string."""


@define
class GroupWatch:
    """Reads a control group; the kernel keeps its limits, here they are only noticed."""

    group: Cgroup
    usage: Usage = field(factory=Usage)
    sampled: bool = False

    def look(self) -> str:
        """Return ``memory`` or ``processes`` where the kernel had to act."""
        now, before = self.group.usage(), self.usage
        self.usage = Usage(
            now.cpu_seconds if now.cpu_seconds is not None else before.cpu_seconds,
            now.peak_memory if now.peak_memory is not None else before.peak_memory,
            max(now.killed_for_memory, before.killed_for_memory),
            max(now.refused_processes, before.refused_processes),
        )
        if self.usage.killed_for_memory:
            return "memory"
        return "processes" if self.usage.refused_processes else ""


@define
class TreeWatch:
    """Adds up the processes of a pid namespace; what they use after the last look, 0.1 s at most, goes unseen."""

    init: Init
    limits: JobLimits
    usage: Usage = field(factory=lambda: Usage(0.0, 0))
    sampled: bool = True

    def look(self) -> str:
        """Return ``memory`` or ``processes`` where all processes together exceed a limit."""
        members = self.init.members()
        memory = sum(_resident(process) for process in members)
        self.usage = evolve(
            self.usage,
            cpu_seconds=max(self.usage.cpu_seconds or 0.0, sum(_cpu(process) for process in members)),
            peak_memory=max(self.usage.peak_memory or 0, memory),
        )
        if memory > self.limits.memory:
            return "memory"
        threads = sum(_threads(process) for process in members if process != self.init.process)
        return "processes" if threads >= self.limits.processes else ""


@define
class NoWatch:
    """Tells nothing."""

    usage: Usage = field(factory=Usage)
    sampled: bool = False

    def look(self) -> str:
        """Return an empty string."""
        return ""


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _cpu(process: int) -> float:
    """Return the CPU seconds of a process and of its children that have ended and were waited for."""
    return sum(int(number) for number in _stat(process)[11:15]) / _TICKS


def _threads(process: int) -> int:
    return sum(int(number) for number in _stat(process)[17:18])


def _stat(process: int) -> list[str]:
    """Return the fields of a process from its state on; see proc(5)."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
