"""Random numbers of an event that do not depend on the order, the number or the batch of the events."""

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from collidekit.reconstruction.four_momenta import Floats

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
Seeds = NDArray[np.uint64]


def seeds_from_numbers(event: NDArray[np.int64 | np.uint64] | Seeds, seed: int = 0) -> Seeds:
    """Return a random seed ``(N,)`` for each event number ``(N,)``. Events with equal numbers get equal random numbers."""
    return _mix(np.asarray(event).astype(np.uint64) + _mix(np.full(1, seed, dtype=np.uint64)))


def seeds_from_columns(columns: Mapping[str, NDArray[Any]], seed: int = 0) -> Seeds:
    """Return a random seed ``(N,)`` from the values ``(N,)`` of several columns, in the order of their names.

    An integer gives the same seed as the equal floating-point number. Other floating-point numbers contribute their bits.
    """
    names = sorted(columns)
    seeds = seeds_from_numbers(_bits(columns[names[0]]), seed)
    for name in names[1:]:
        seeds = _mix(seeds ^ _bits(columns[name]))
    return seeds


def _bits(column: NDArray[Any]) -> Seeds:
    """Return values ``(N,)`` as 64 bits."""
    if column.dtype.kind in "iub":
        return column.astype(np.uint64)
    values = column.astype(np.float64)
    found = values.view(np.uint64).copy()
    whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2.0**63)
    found[whole] = values[whole].astype(np.int64).astype(np.uint64)
    found[np.isnan(values)] = np.float64(np.nan).view(np.uint64)
    return found


def seeds_from_kinematics(values: Floats, seed: int | Seeds = 0) -> Seeds:
    """Return a random seed ``(N,)`` from values ``(N, K)`` of each event or object, rounded to single precision.

    ``seed`` is a number or an array ``(N,)``.
    """
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    seeds: Seeds = np.broadcast_to(np.asarray(seed, dtype=np.uint64), (len(bits),))
    for column in range(bits.shape[1]):
        seeds = _mix(seeds ^ bits[:, column])
    return seeds


def uniform(seeds: Seeds, count: int) -> Floats:
    """Return ``(N, count)`` uniform random numbers between 0 and 1, both excluded."""
    counters = seeds[:, None] + GOLDEN * np.arange(1, count + 1, dtype=np.uint64)
    return ((_mix(counters) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(seeds: Seeds, count: int) -> Floats:
    """Return ``(N, count)`` random numbers from the normal distribution of mean 0 and standard deviation 1."""
    numbers: Floats = ndtri(uniform(seeds, count))
    return numbers


def target_noise(columns: Mapping[str, NDArray[Any]], name: str, draws: int, values: int) -> tuple[Floats, Floats]:
    """Return normal random numbers ``(N, draws, values)`` and uniform ones ``(N, values)`` of each row, for a target of this name.

    They depend only on the values ``(N,)`` of the columns: the event number, else file and entry.
    """
    seeds = seeds_from_columns(columns, crc32(name.encode()))
    noise = normal(seeds, draws * values).reshape(len(seeds), draws, values)
    return noise, uniform(seeds_from_columns({"seed": seeds}, 1), values)


def _mix(values: Seeds) -> Seeds:
    """Return values mixed by the finaliser of splitmix64 (Steele, Lea, Flood 2014)."""
    values = values + GOLDEN
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Seeds = values ^ (values >> np.uint64(31))
    return mixed
