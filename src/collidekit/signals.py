"""Signals of a batch system or a closed terminal end a process as Ctrl-C does."""

import ctypes
import os
import signal
import threading
from contextlib import suppress

DEATH_SIGNAL = 1
"""A code of Linux."""


class StoppedBySignal(KeyboardInterrupt):
    """A batch system, or a closed terminal, asked the process to end."""


def end_on_signals() -> None:
    """From now on SIGTERM and SIGHUP raise ``StoppedBySignal``: temporary files are removed, and a line says so."""

    def end(number: int, frame: object) -> None:
        raise StoppedBySignal(signal.Signals(number).name)

    if threading.current_thread() is threading.main_thread():
        for kind in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(kind) is signal.SIG_DFL:
                signal.signal(kind, end)


def end_with(parent: int) -> None:
    """Let this process be killed when its parent ends, on Linux; an exception if that has ended already."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the process that started this one is gone")
