"""Find numbers of a row that follow from a list of truth or indices, such as the number of vertices from the vertex of each track."""

from collections.abc import Iterator

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.starter.columns import Column, Lists
from collidekit.starter.left_out import INDEX, TRUTH

_FEWEST = 50
"""Minimum number of rows in which both must agree."""


def follows_from(number: Column, lists: list[Lists]) -> str:
    """Return the name of the list column from which a number follows in every row; empty if there is none."""
    if len(number.values) < _FEWEST or not number.integral or len(number.distinct) < 3:
        return ""
    for column in (column for group in lists for column in group.columns.values()):
        looks_so = INDEX.search(column.plain) or TRUTH.search(column.plain)
        if looks_so and column.integral and any(np.array_equal(number.values, one) for one in _summaries(column)):
            return column.plain
    return ""


def _summaries(column: Column) -> Iterator[NDArray[np.int64]]:
    """Yield numbers (N,) of each row: the maximum, the maximum + 1, and the numbers of all and of distinct values (any, > 0, >= 0)."""
    lists = ak.unflatten(column.values.astype(np.int64), column.counts)
    largest = ak.to_numpy(ak.fill_none(ak.max(lists, axis=1), -1))
    yield largest
    yield largest + 1
    for from_where in (lists, lists[lists > 0], lists[lists >= 0]):
        ordered = ak.sort(from_where, axis=1)
        steps = ordered[:, 1:] != ordered[:, :-1]
        yield ak.to_numpy(ak.sum(steps, axis=1) + (ak.num(ordered, axis=1) > 0))
        yield ak.to_numpy(ak.num(from_where, axis=1))
