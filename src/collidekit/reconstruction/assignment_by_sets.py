"""Search for the best consistent assignment of one event by dynamic programming over the sets of used constituents."""

from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
BITS = 62
"""Maximum number of constituents of a set in a 64-bit integer."""
CELLS = 1 << 20
"""Maximum number of pairs of a set and a way in memory."""


def pairs_by_sets(constituents: int, slots: Sequence[int]) -> int:
    """Return the number of pairs of a set and a way that ``best_by_sets`` compares, for parents with these numbers of slots."""

    def sets(most: int) -> int:
        return sum(comb(constituents, size) for size in range(min(most, constituents) + 1))

    return sum(sets(sum(slots[:parent])) * sets(number) for parent, number in enumerate(slots))


def best_by_sets(scores: Sequence[Array], filled: Sequence[Array]) -> Array:
    """Return the ways (P,) of all parents with the highest sum of scores, where no constituent is used twice.

    ``scores`` are (C_p,) and ``filled`` (C_p, n_p) as for ``best_assignment``, which has the same result if no two sums are
    equal. The cost grows with the number of sets of constituents, not with the product of the ways of all parents.
    """
    finite = [np.flatnonzero(score > -np.inf) for score in scores]
    used = np.unique(np.concatenate([ways[rows].ravel() for ways, rows in zip(filled, finite, strict=True)]))
    bits = np.where(used >= 0, np.int64(1) << np.cumsum(used >= 0), 0) >> 1  # of each number in ``used``
    taken, total = np.zeros(1, dtype=np.int64), np.zeros(1)
    steps: list[tuple[Array, Array]] = []
    for score, ways, rows in zip(scores, filled, finite, strict=True):
        masks = bits[np.searchsorted(used, ways[rows])].sum(axis=1)
        best = _best_of_equal(masks, score[rows])  # of ways with the same constituents, only the best can be optimal
        masks, rows = masks[best], rows[best]
        taken, total, before, way = _extend(taken, total, masks, score[rows])
        steps.append((before, rows[way]))
    at = int(total.argmax())
    chosen = []
    for before, way in reversed(steps):
        chosen.append(int(way[at]))
        at = int(before[at])
    return np.array(chosen[::-1])


def _extend(taken: Array, total: Array, masks: Array, score: Array) -> tuple[Array, Array, Array, Array]:
    """Add one parent; return the new sets (S',), their highest sums, and the old set and the way of each."""
    found: tuple[Array, ...] = (
        np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64),
    )  # fmt: skip
    step = max(CELLS // len(masks), 1)
    for start in range(0, len(taken), step):
        one = taken[start : start + step, None]
        state, way = np.nonzero((one & masks) == 0)
        state = state + start
        new = (taken[state] | masks[way], total[state] + score[way], state, way)
        found = tuple(np.concatenate(parts) for parts in zip(found, new, strict=True))
        best = _best_of_equal(found[0], found[1])
        found = tuple(part[best] for part in found)
    return found[0], found[1], found[2], found[3]


def _best_of_equal(keys: Array, values: Array) -> Array:
    """Return the index of the highest value of each key."""
    order = np.lexsort((-values, keys))
    first = np.ones(len(order), dtype=bool)
    first[1:] = keys[order][1:] != keys[order][:-1]
    return order[first]
