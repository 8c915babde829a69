"""Waiting of torch's threads on a machine that also runs other processes.

Between two operations the threads of GNU OpenMP spin for some milliseconds. On an idle machine this is the fastest way.
If another process uses the core of one thread, the other threads spin for as long as that process holds the core, and
training becomes several times slower. OpenMP spins for a much shorter time when a process has more threads than there
are cores, so `sharing_cores` adds idle threads while other processes are busy. The results do not change: the
operations still run on the same number of threads.
"""

import ctypes
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INTERVAL = 0.5
"""Seconds between two measurements of the load."""
BUSY, QUIET = 0.3, 0.15
"""Number of missing cores above which idle threads are added, and below which they are removed."""
_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@contextmanager
def sharing_cores(threads: int) -> Iterator[None]:
    """Let ``threads`` threads of torch wait without spinning while other processes need their cores.

    Does nothing for a single thread, without GNU OpenMP or /proc/stat, or if OMP_WAIT_POLICY or GOMP_SPINCOUNT is set.
    """
    monitor = LoadMonitor(threads) if threads > 1 and _can_switch() else None
    if monitor is None:
        yield
        return
    monitor.start()
    try:
        yield
    finally:
        monitor.stop()


class LoadMonitor:
    """A thread that measures the load of other processes and keeps idle OpenMP threads while the load is high."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._end = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="collidekit load monitor")
        self.crowd: IdleThreads | None = None
        """The idle threads; None if the load is low."""

    def start(self) -> None:
        self._watcher.start()

    def stop(self) -> None:
        self._end.set()
        self._watcher.join()

    def _watch(self) -> None:
        cores = allowed_cores()
        before = load_sample(cores)
        while not self._end.wait(INTERVAL):
            now = load_sample(cores)
            self.update(missing_cores(before, now, self._threads, len(cores)))
            before = now
        self.update(0.0)

    def update(self, missing: float) -> None:
        """Add idle threads if cores are missing, and remove them if no core is missing."""
        if self.crowd is None and missing > BUSY:
            self.crowd = IdleThreads(len(allowed_cores()) + 1)
        elif self.crowd is not None and missing < QUIET:
            self.crowd.close()
            self.crowd = None


class IdleThreads:
    """Sleeping OpenMP threads; while they exist, GNU OpenMP counts more threads than cores and hardly spins."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._end, ready = threading.Event(), threading.Event()
        self._owner = threading.Thread(target=self._hold, args=(ready,), daemon=True, name="collidekit idle threads")
        self._owner.start()
        ready.wait()

    def _hold(self, ready: threading.Event) -> None:
        # a team of threads belongs to the thread that started it, and ends with it
        run = _gomp_parallel()
        run.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        run.restype = None
        work = ctypes.cast(ctypes.CDLL(None).getppid, ctypes.c_void_p)  # a function that takes and changes nothing
        try:
            run(work, None, self._count, 0)
        finally:
            ready.set()
        self._end.wait()

    def close(self) -> None:
        self._end.set()
        self._owner.join()


def missing_cores(
    before: tuple[float, float, float], now: tuple[float, float, float], threads: int, cores: int
) -> float:
    """Return the number of cores that other processes use and ``threads`` threads of this process also need."""
    seconds = max(now[0] - before[0], 1e-3)
    foreign = (now[1] - before[1] - (now[2] - before[2])) / seconds
    return max(foreign, 0.0) + min(threads, cores) - cores


def load_sample(cores: set[int]) -> tuple[float, float, float]:
    """Return the time, the busy seconds of these cores since the boot, and the CPU seconds of this process."""
    busy = 0
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            user, nice, system, _idle, _waiting, interrupts, soft, stolen = (int(tick) for tick in ticks[:8])
            busy += user + nice + system + interrupts + soft + stolen
    return time.monotonic(), busy / _TICK, time.process_time()


def allowed_cores() -> set[int]:
    """Return the numbers of the cores that this process may run on."""
    return os.sched_getaffinity(0)


def openmp_library() -> str | None:
    """Return the path of the GNU OpenMP library that torch has loaded; None if torch uses another library."""
    try:
        mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"\S*/libgomp[^/\s]*\.so\S*", mapped)
    return found[0] if found else None


def _gomp_parallel() -> Any:
    """Return the function of GNU OpenMP that runs a C function on a team of threads; None if there is none."""
    library = openmp_library()
    return getattr(ctypes.CDLL(library), "GOMP_parallel", None) if library else None


def _can_switch() -> bool:
    chosen = any(os.environ.get(name) for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"))
    if chosen or not os.access("/proc/stat", os.R_OK) or not hasattr(os, "sched_getaffinity"):
        return False
    import torch  # noqa: F401  # loads its OpenMP library

    return _gomp_parallel() is not None
