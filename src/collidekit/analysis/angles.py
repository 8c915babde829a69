"""Angles in expressions: the arguments of functions that are azimuths in radians, and values that are in degrees."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ARGUMENTS = {"px": (1,), "py": (1,), "delta_phi": (0, 1), "delta_r": (1, 3), "pair_mass": (2, 6)}
"""Positions of the azimuths among the arguments of each function."""
MANY = 0.05
"""Fraction of values beyond a full turn from which an angle is in degrees."""
_TURN = 6.6
"""A full turn in radians, with a margin."""
_LARGEST = 400.0
"""A value above this is no angle in degrees; it marks a missing value, such as -999."""
_FEWEST = 4
_WIDTH = 4 * np.pi
"""Smallest range of the values beyond a full turn; values near one number mark missing ones."""


def beyond_turn(values: NDArray[Any]) -> float:
    """Return the fraction of values that are angles in degrees beyond 2 pi; markers of missing values do not count."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    size = np.abs(values)
    if len(np.unique(values[size > _LARGEST])) >= _FEWEST:
        return 0.0
    angles = values[size <= _LARGEST]
    beyond = np.unique(angles[np.abs(angles) > _TURN])
    sides = [side for side in (beyond[beyond < 0], beyond[beyond > 0]) if len(side)]
    if len(beyond) < _FEWEST or max(float(np.ptp(side)) for side in sides) < _WIDTH:
        return 0.0
    return float((np.abs(angles) > _TURN).mean())


def in_degrees(values: NDArray[Any]) -> bool:
    """Return whether angles are in degrees, judging from their values."""
    return beyond_turn(values) > MANY
