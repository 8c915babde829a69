"""Owner of a trial: the process that runs it, and whether it still runs."""

import os
import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

OWNER, BEAT = "worker", "heartbeat"
"""Names of attributes of a trial."""


def this_process() -> dict[str, Any]:
    """Return the data that identify this process until the next start of the machine."""
    return {"host": platform.node(), "system": _system(), "process": os.getpid(), "began": _began(os.getpid())}


def _system() -> str:
    """Return the boot id of the machine and the namespace of process numbers, because containers have their own."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _began(process: int) -> str:
    """Return the start time of a process, in ticks of the machine; an empty text if there is no such process."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = status.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]  # a zombie has ended


def is_lost(attributes: dict[str, Any], interval: float, begun: float) -> bool:
    """Return whether the process of a running trial has ended on this machine, or its heartbeat is older than two intervals.

    ``begun`` is the start time of the trial; it is used if there is no heartbeat yet.
    """
    owner = attributes.get(OWNER)
    if owner and (mine := this_process())["system"] and owner["system"] == mine["system"]:
        return bool(_began(owner["process"]) != owner["began"])
    last = attributes.get(BEAT, {}).get("time", begun)
    return time.time() - float(last) > 2 * interval


class Heartbeat:
    """Thread that regularly writes, within its block, that the trial is running, and its cost so far."""

    def __init__(self, write: Callable[[dict[str, float]], None], interval: float) -> None:
        self._write, self._interval = write, interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._cpu, self._begun = time.process_time(), time.monotonic()

    def cost(self) -> dict[str, float]:
        """Return the CPU time and the wall-clock time of the block so far, in seconds."""
        cpu, seconds = time.process_time() - self._cpu, time.monotonic() - self._begun
        return {"cpu_seconds": round(cpu, 3), "seconds": round(seconds, 3)}

    def __enter__(self) -> Self:
        self._write({"time": time.time(), **self.cost()})
        self._thread.start()
        return self

    def _beat(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self._write({"time": time.time(), **self.cost()})
            except Exception:  # noqa: BLE001, S112 - the next one may reach the storage again
                continue

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
