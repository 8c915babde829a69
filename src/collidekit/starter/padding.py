"""Padding of lists: members where all columns are 0, or a value such as -999."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from collidekit.dataset.far_values import find_sentinel
from collidekit.starter.columns import Column, Lists, keep_members

_SHARE = 0.005
"""Minimum fraction of members that are padding."""


def drop_padding(group: Lists) -> None:
    """Find the padding of a collection, set a condition for real members, and keep only these."""
    if group.where or len(group.columns) < 2:
        return
    _drop(group, _sentinels(group), lambda name: _condition(group.columns[name]))
    fixed = len(group.counts) > 1 and group.counts.min() == group.counts.max() > 1
    if fixed and not group.where:
        _drop(group, {name: column.values == 0 for name, column in group.columns.items()}, lambda name: f"{name} != 0")


def _sentinels(group: Lists) -> dict[str, NDArray[np.bool_]]:
    """Return masks (T,) of values that mean "missing", for each column that has such a value."""
    found = {}
    for name, column in group.columns.items():
        sentinel = find_sentinel(column.finite.astype(np.float64))
        if sentinel:
            found[name] = column.values == sentinel.value
    return found


def _condition(column: Column) -> str:
    sentinel = find_sentinel(column.finite.astype(np.float64))
    assert sentinel is not None
    return sentinel.condition(column.name)


def _drop(group: Lists, missing: dict[str, NDArray[np.bool_]], condition: Callable[[str], str]) -> None:
    """Drop members that are missing in every column, if one of the columns is missing only there."""
    if len(missing) < len(group.columns):
        return
    everywhere = np.logical_and.reduce(list(missing.values()))
    if not _SHARE <= everywhere.mean() < 1:
        return
    for name, absent in missing.items():
        if np.array_equal(absent, everywhere):
            keep_members(group, condition(name), ~everywhere)
            return
