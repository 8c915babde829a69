"""Stopping and going on: the signals of a batch system, and the newest checkpoint that is whole."""

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
    """Within its block SIGTERM, SIGHUP and the first Ctrl-C do not end the process: ``received`` names the first that came.

    So nothing is cut off in the middle, nor is an interrupt lost that arrives where Python ignores exceptions. A second
    Ctrl-C ends at once.
    """

    def __init__(self) -> None:
        self.received = ""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                if signal.getsignal(kind) is not signal.SIG_IGN:  # as nohup has it
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
    """``last.pt``, or where it is damaged the checkpoint of the last epoch that is whole; None where there is no ``last.pt``.

    An error where all of them are damaged.
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
            say(f"{first}\ngoing on from {path.name}, the newest checkpoint that is whole")
        return path
    assert first is not None
    raise CollidekitError(f"{first}; no other checkpoint in {folder} is whole: --resume-training False begins again")


def steps_done(path: Path) -> int:
    """Return the steps that a training had done when it wrote a checkpoint; -1 where that cannot be read."""
    try:
        return int(load_content(path)["state"]["position"][0])
    except (CollidekitError, KeyError, TypeError, IndexError, ValueError):
        return -1
