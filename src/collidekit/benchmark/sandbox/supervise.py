"""Watches a running command: its output goes to the log, a limit or a cancelation ends it."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable

from attrs import frozen

from collidekit.benchmark.sandbox.log import CutLog

GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""
LOOK = 0.1
"""Seconds between two looks at the limits."""
ASK = 1.0
"""Seconds between two questions whether the run is canceled."""


@frozen
class Ending:
    """End of a process; ``cause`` is walltime, canceled, log, or the text that ``broken`` returned."""

    exit_code: int
    cause: str
    wall_seconds: float


def supervise(
    process: "subprocess.Popen[bytes]",
    log: CutLog,
    walltime: float,
    signal_all: Callable[[int], None],
    canceled: Callable[[], bool] = lambda: False,
    broken: Callable[[], str] = lambda: "",
) -> Ending:
    """Wait for a process; at a limit all its processes get SIGTERM, and SIGKILL after the grace period.

    ``broken`` is asked ten times per second and names a limit that is exceeded.
    """
    begin = time.monotonic()
    cause, killed_at, asked = "", 0.0, begin
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        looked, is_open = 0.0, True
        while process.poll() is None:
            is_open = _wait(selector, process.stdout.fileno(), log, is_open)
            now = time.monotonic()
            if now - looked < LOOK:
                continue
            looked = now
            if not cause:
                if now - asked >= ASK:
                    asked = now
                    cause = "canceled" if canceled() else ""
                cause = cause or _limit(now - begin, walltime, log, broken)
                if cause:
                    signal_all(signal.SIGTERM)
                    killed_at = now + GRACE
            elif now >= killed_at:
                signal_all(signal.SIGKILL)
                killed_at = now + GRACE
        if not cause:
            cause = _limit(0, walltime, log, broken)
        wall = time.monotonic() - begin
    return Ending(process.returncode, cause, wall)


def drain(process: "subprocess.Popen[bytes]", log: CutLog) -> bool:
    """Write what a process that has ended left in its pipe; return True where the log exceeds its limit."""
    assert process.stdout is not None
    _read(process.stdout.fileno(), log)
    process.stdout.close()
    return log.full


def _limit(elapsed: float, walltime: float, log: CutLog, broken: Callable[[], str]) -> str:
    if elapsed > walltime:
        return "walltime"
    return "log" if log.full else broken()


def _wait(selector: selectors.BaseSelector, file: int, log: CutLog, is_open: bool) -> bool:
    """Wait for output for a moment and write it to the log; return False from the end of the output on."""
    if not is_open:
        time.sleep(LOOK / 10)
        return False
    return _read(file, log) if selector.select(LOOK) else True


def _read(file: int, log: CutLog, most: int = 16) -> bool:
    """Move what waits in a pipe to the log, at most 16 blocks at once; return False at its end."""
    for _ in range(most):
        try:
            content = os.read(file, 1 << 16)
        except BlockingIOError:
            return True
        if not content:
            return False
        log.write(content)
    return True
