"""Calls that are repeated while the database does not answer."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from collidekit.benchmark.store import StoreUnavailable

Answer = TypeVar("Answer")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


def pause_of(failures: int, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> float:
    """Return the seconds to wait after so many failures in a row: twice as long each time, up to the longest."""
    return min(first * 2.0 ** min(failures - 1, 30), longest)


def patiently(
    call: Callable[[], Answer], say: Callable[[str], None], stop: threading.Event, patience: float = float("inf")
) -> Answer:
    """Return the answer of the database, for which this waits where the database is away.

    Raises StoreUnavailable when ``stop`` is set, or ``patience`` seconds have passed.
    """
    failures, end = 0, time.monotonic() + patience
    while True:
        try:
            answer = call()
        except StoreUnavailable as error:
            failures += 1
            if failures == 1:
                say(f"{error}; trying again until it answers")
            if time.monotonic() > end or stop.wait(pause_of(failures)):
                raise
            continue
        if failures:
            say("the database answers again")
        return answer
