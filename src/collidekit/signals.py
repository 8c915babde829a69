"""Signals of a batch system or a closed terminal, which end a process like Ctrl-C."""

import ctypes
import os
import signal
import threading
from contextlib import suppress

DEATH_SIGNAL = 1
"""Linux option PR_SET_PDEATHSIG of prctl."""


class StoppedBySignal(KeyboardInterrupt):
    """The process was stopped by a batch system or a closed terminal."""


def end_on_signals() -> None:
    """Let SIGTERM and SIGHUP raise ``StoppedBySignal``, so that temporary files are removed and a message is printed."""

    def end(number: int, frame: object) -> None:
        raise StoppedBySignal(signal.Signals(number).name)

    if threading.current_thread() is threading.main_thread():
        for kind in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(kind) is signal.SIG_DFL:
                signal.signal(kind, end)


def end_with(parent: int) -> None:
    """Let Linux kill this process when its parent ends; raise SystemExit if the parent has ended already."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the parent process has ended")
