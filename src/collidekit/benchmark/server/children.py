"""Worker processes beside the server: started, started again when they die, stopped with it."""

import subprocess
import threading
import time
from collections.abc import Sequence

from collidekit.progress import notice

LONGEST_PAUSE = 60.0
STEADY = 30.0
"""Seconds after which a worker counts as running well."""


class Children:
    """Processes that run the same command until they are stopped."""

    def __init__(self, command: Sequence[str], number: int) -> None:
        self._command = list(command)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._keep, args=(index,), daemon=True) for index in range(number)]
        self._lock = threading.Lock()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all processes."""
        for thread in self._threads:
            thread.start()

    def stop(self, patience: float = 20.0) -> None:
        """Ask all processes to end, and end those that do not."""
        self._ended.set()
        with self._lock:
            running = list(self._processes.values())
        for process in running:
            process.terminate()
        until = time.monotonic() + patience
        for process in running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        for thread in self._threads:
            thread.join(5)

    def _keep(self, index: int) -> None:
        pause = 1.0
        while not self._ended.is_set():
            began = time.monotonic()
            with self._lock:
                if self._ended.is_set():
                    return
                process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
                self._processes[index] = process
            code = process.wait()
            if self._ended.is_set():
                return
            pause = 1.0 if time.monotonic() - began > STEADY else min(2 * pause, LONGEST_PAUSE)
            notice(f"worker {index + 1} ended with code {code}; it starts again in {pause:g} s")
            self._ended.wait(pause)
