"""Token buckets: how many requests a user or an address may send."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from collidekit.benchmark.server.settings import Rate

KEYS = 50_000
"""Most users and addresses that are kept; the ones not seen for longest are forgotten first."""


class Buckets:
    """A bucket for each key: ``burst`` tokens at most, ``per_second`` new ones each second, one taken by each request."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic, keys: int = KEYS) -> None:
        self.rate, self._clock, self._keys = rate, clock, keys
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """Take one token; return 0, or the seconds until there is one."""
        with self._lock:
            level = self._level(key)
            wait = 0.0 if level >= 1 else (1 - level) / self.rate.per_second
            self._set(key, level if wait else level - 1)
            return wait

    def _level(self, key: str) -> float:
        level, since = self._levels.get(key, (float(self.rate.burst), self._clock()))
        return min(self.rate.burst, level + (self._clock() - since) * self.rate.per_second)

    def _set(self, key: str, level: float) -> None:
        self._levels[key] = (level, self._clock())
        self._levels.move_to_end(key)
        if len(self._levels) > self._keys:
            self._levels.popitem(last=False)
