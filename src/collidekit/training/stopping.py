"""Stopping and resuming: signals of a batch system, and the newest readable checkpoint."""

import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from collidekit.errors import CollidekitError
from collidekit.training.checkpoint import load_content

_EPOCH = re.compile(r"model_(\d+)\.pt")


class StoppedError(CollidekitError):
    """A signal ended the training; its state is saved."""


class StopSignals:
    """Handler of SIGTERM, SIGHUP and the first Ctrl-C, which do not end the process in its block.

    ``received`` is the name of the first signal. No step is interrupted, and an interrupt is not lost if it arrives where Python
    ignores exceptions. A second Ctrl-C ends the process at once.
    """

    def __init__(self) -> None:
        self.received = ""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                if signal.getsignal(kind) is not signal.SIG_IGN:  # nohup ignores signals
                    self._before[kind] = signal.signal(kind, self._note)
        return self

    def _note(self, number: int, frame: object) -> None:
        if number == signal.SIGINT and self.received == "SIGINT":
            raise KeyboardInterrupt
        self.received = self.received or signal.Signals(number).name

    def __exit__(self, *error: object) -> None:
        for kind, handler in self._before.items():
            signal.signal(kind, handler if handler is not None else signal.SIG_DFL)
        self._before.clear()


def newest_whole(folder: Path, say: Callable[[str], None]) -> Path | None:
    """Return ``last.pt``, or if it is damaged, the readable checkpoint of the latest epoch; None if there is no ``last.pt``.

    Raise an error if all checkpoints are damaged.
    """
    last = folder / "last.pt"
    if not last.exists():
        return None
    epochs = {int(match[1]): path for path in folder.glob("model_*.pt") if (match := _EPOCH.fullmatch(path.name))}
    first: CollidekitError | None = None
    for path in (last, *(epochs[epoch] for epoch in sorted(epochs, reverse=True))):
        try:
            load_content(path)
        except CollidekitError as error:
            first = first or error
            continue
        if first:
            say(f"{first}\ncontinuing from {path.name}, the newest readable checkpoint")
        return path
    assert first is not None
    raise CollidekitError(
        f"{first}; no other checkpoint in {folder} is readable; start again with --resume-training False"
    )


def steps_done(path: Path) -> int:
    """Return the number of steps of a training at a checkpoint; -1 if the checkpoint cannot be read."""
    try:
        return int(load_content(path)["state"]["position"][0])
    except (CollidekitError, KeyError, TypeError, IndexError, ValueError):
        return -1
