"""Sums over what belongs together."""

from __future__ import annotations

import numpy as np

from collidekit.simulation.generator import FloatArray, IntArray


def sums(group: IntArray, values: FloatArray, groups: int) -> FloatArray:
    """The sum of the values (N,) in each of the groups, (groups,)."""
    return np.asarray(np.bincount(group, values, groups), dtype=np.float64)
