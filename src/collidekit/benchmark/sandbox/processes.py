"""Processes of a sandbox, seen from outside: signals that cannot hit another process, and the wait for the end of all."""

import os
import select
import signal
from contextlib import suppress
from types import TracebackType
from typing import Self


class Init:
    """The first process of a pid namespace; with it, the kernel ends all others of the namespace.

    It is held by a file descriptor, so a later process with the same id is never meant.
    """

    def __init__(self, process: int) -> None:
        self.process = process
        self._handle = os.pidfd_open(process)
        self._namespace = _namespace(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def signal_all(self, number: int) -> None:
        """Send a signal to every process of the namespace."""
        if number == signal.SIGKILL:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)
            return
        for process in self.members():
            with suppress(OSError):
                handle = os.pidfd_open(process)
                try:
                    if _namespace(process) == self._namespace:
                        signal.pidfd_send_signal(handle, number)
                finally:
                    os.close(handle)

    def members(self) -> list[int]:
        """Return the ids of the processes of the namespace, as this process sees them."""
        everyone = (int(name) for name in os.listdir("/proc") if name.isdigit())
        return [process for process in everyone if self._namespace and _namespace(process) == self._namespace]

    def wait(self, seconds: float) -> bool:
        """Wait until all processes of the namespace have ended; return False after the given seconds."""
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


def _namespace(process: int) -> str:
    try:
        return os.readlink(f"/proc/{process}/ns/pid")
    except OSError:
        return ""
