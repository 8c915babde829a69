"""Sums and padded arrays of groups."""

from __future__ import annotations

import numpy as np

from collidekit.simulation.generator import FloatArray, IntArray


def sums(group: IntArray, values: FloatArray, groups: int) -> FloatArray:
    """Return the sums (groups,) of values (N,) in each group."""
    return np.asarray(np.bincount(group, values, groups), dtype=np.float64)


def padded(group: IntArray, values: FloatArray | IntArray, groups: int, size: int, missing: float) -> FloatArray:
    """Return values (N,), sorted by group, as (groups, size): truncated, and padded with `missing`."""
    counts = np.bincount(group, minlength=groups)
    position = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((groups, size), missing)
    kept = position < size
    table[group[kept], position[kept]] = values[kept]
    return table
