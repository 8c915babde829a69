"""Signals of a batch system or a closed terminal end a process as Ctrl-C does."""

import signal
import threading


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
