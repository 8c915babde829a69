"""A control group around a sandbox: memory, processes and CPU of all that runs in it, and what it has used."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from attrs import field, frozen

from collidekit.benchmark.sandbox.cgroup_places import Place, all_mounts, find_place
from collidekit.benchmark.sandbox.job import JobLimits
from collidekit.benchmark.sandbox.owner import PREFIX, owner_is_gone, owner_tag

PERIOD = 100_000
"""Microseconds of a period of CPU shares."""


@frozen
class Usage:
    """Use of resources by the processes of a control group; None if it is unknown."""

    cpu_seconds: float | None = None
    peak_memory: int | None = None
    killed_for_memory: int = 0
    refused_processes: int = 0


@frozen
class Cgroup:
    """A control group with limits."""

    version: int
    folders: dict[str, Path] = field(factory=dict)
    """Its folder for each controller."""
    limited: tuple[str, ...] = ()
    """Limits that the kernel keeps: memory, processes, cpus."""

    def add(self, process: int) -> None:
        """Move a process into the group; what it starts later is in it, too."""
        for folder in set(self.folders.values()):
            (folder / "cgroup.procs").write_text(str(process), encoding="ascii")

    def usage(self) -> Usage:
        """Return what was used so far, also by processes that have ended and by groups below."""
        if self.version == 2:
            cpu, peak = (
                _counts(self._file("cpu", "cpu.stat")).get("usage_usec"),
                _number(self._file("memory", "memory.peak")),
            )
            killed = _counts(self._file("memory", "memory.events")).get("oom_kill", 0)
            return Usage(None if cpu is None else cpu / 1e6, peak, killed, self._refused())
        used = _number(self._file("cpuacct", "cpuacct.usage"))
        killed = sum(_counts(path).get("oom_kill", 0) for path in self._files("memory", "memory.oom_control"))
        peak = _number(self._file("memory", "memory.max_usage_in_bytes"))
        return Usage(None if used is None else used / 1e9, peak, killed, self._refused())

    def kill(self) -> None:
        """End all processes of the group and of groups below."""
        for _ in range(50):
            processes = {process for folder in set(self.folders.values()) for process in _processes(folder)}
            if not processes:
                return
            for process in processes:
                with suppress(OSError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.02)

    def remove(self) -> None:
        """Remove the group, whose processes have ended."""
        for folder in set(self.folders.values()):
            for below in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
                _remove(below)
            _remove(folder)

    def _refused(self) -> int:
        return sum(_counts(path).get("max", 0) for path in self._files("pids", "pids.events"))

    def _file(self, controller: str, name: str) -> Path:
        return self.folders.get(controller, Path("/nonexistent")) / name

    def _files(self, controller: str, name: str) -> list[Path]:
        """Return a file of the group and of groups below, which count for themselves in version 1."""
        folder = self.folders.get(controller)
        if folder is None:
            return []
        return [folder / name] if self.version == 2 else [folder / name, *folder.rglob(name)]


def make_cgroup(name: str, limits: JobLimits, above_all: bool = False) -> Cgroup | None:
    """Make a control group with limits, or return None where this process may not; see ``find_place``."""
    place = find_place(above_all)
    if place is None:
        return None
    label = f"{PREFIX}-{owner_tag()}-{name}"
    folders: dict[str, Path] = {}
    for controller, folder in place.folders.items():
        with suppress(OSError):
            (folder / label).mkdir(exist_ok=True)
            folders[controller] = folder / label
    group = Cgroup(place.version, folders, _set_limits(place, folders, limits))
    if not group.limited:
        group.remove()
        return None
    return group


def sweep_cgroups(above_all: bool = False) -> int:
    """End and remove the control groups of runners that were killed; return how many there were."""
    place = find_place(above_all)
    folders = {*(place.folders.values() if place else ()), *(all_mounts() if above_all and place else ())}
    left = [path for folder in folders for path in folder.glob(f"{PREFIX}-*") if owner_is_gone(_owner(path))]
    for path in left:
        group = Cgroup(1, {"": path})
        group.kill()
        group.remove()
    return len({path.name for path in left})


def _owner(folder: Path) -> str:
    return folder.name.removeprefix(f"{PREFIX}-").rpartition("-")[0]


def remove_everywhere(group: Cgroup) -> None:
    """End and remove a group also where a container engine made it, in hierarchies without a limit."""
    group.kill()
    group.remove()
    names = {folder.name for folder in group.folders.values()}
    others = [mount / name for mount in all_mounts() for name in names if (mount / name).is_dir()]
    Cgroup(group.version, {str(folder): folder for folder in others}).remove()


def _set_limits(place: Place, folders: dict[str, Path], limits: JobLimits) -> tuple[str, ...]:
    first = place.version == 1
    memory = "memory.limit_in_bytes" if first else "memory.max"
    swap = ("memory.memsw.limit_in_bytes", limits.memory) if first else ("memory.swap.max", 0)
    quota = max(1000, round(limits.cpus * PERIOD))
    cpu = {"cpu.cfs_period_us": PERIOD, "cpu.cfs_quota_us": quota} if first else {"cpu.max": f"{quota} {PERIOD}"}
    wanted = {
        "memory": ("memory", {memory: limits.memory}),
        "processes": ("pids", {"pids.max": limits.processes}),
        "cpus": ("cpu", cpu),
    }
    kept = []
    for name, (controller, values) in wanted.items():
        if controller in folders and all(_write(folders[controller] / file, value) for file, value in values.items()):
            kept.append(name)
    if "memory" in kept:
        _write(folders["memory"] / swap[0], swap[1])  # not there without swap
    return tuple(kept)


def _write(path: Path, value: object) -> bool:
    try:
        path.write_text(str(value), encoding="ascii")
    except OSError:
        return False
    return True


def _remove(folder: Path) -> None:
    for _ in range(50):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # its last process has not gone yet
            time.sleep(0.02)
        else:
            return


def _processes(folder: Path) -> list[int]:
    found: list[int] = []
    for path in [folder / "cgroup.procs", *folder.rglob("cgroup.procs")]:
        with suppress(OSError):
            found += [int(line) for line in path.read_text(encoding="ascii").split()]
    return found


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _counts(path: Path) -> dict[str, int]:
    """Return the lines ``name number`` of a file."""
    try:
        words = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    except (OSError, ValueError):
        return {}
    return {line[0]: int(line[1]) for line in words if len(line) == 2 and line[1].isdigit()}
