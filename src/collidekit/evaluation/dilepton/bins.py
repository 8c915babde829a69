"""Bins of the events of a comparison, in a true or measured quantity, with open first and last bins."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, log10

import numpy as np

from collidekit.evaluation.rows import Bools, Floats, Ints

BINS = 6


@dataclass(frozen=True, eq=False)
class Bins:
    """Bin (N,) of each event (-1 if it is unknown), and a label for each bin."""

    name: str
    label: str
    """Return the label of the axis, with the unit."""
    texts: tuple[str, ...]
    numbers: Ints

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, number: int) -> Bools:
        """Return the flags (N,) of the events in a bin."""
        return np.asarray(self.numbers == number)


def with_limits(name: str, label: str, values: Floats, limits: Sequence[float]) -> Bins:
    """Return bins below, between and above ascending limits; a value at a limit belongs to the bin above it."""
    shown = [f"{limit:g}" for limit in limits]
    texts = (f"< {shown[0]}", *(f"{a}–{b}" for a, b in pairwise(shown)), f"> {shown[-1]}")
    numbers = np.where(np.isfinite(values), np.searchsorted(limits, values, side="right"), -1)
    return Bins(name, label, texts, numbers)


def with_equal_counts(name: str, label: str, values: Floats) -> Bins:
    """Return bins with about equally many events each, with round limits."""
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, [0.16, 0.84]) if len(known) else (0.0, 0.0)
    if not high > low:
        return Bins(name, label, ("all",), np.where(np.isfinite(values), 0, -1))
    step = 10.0 ** (floor(log10(high - low)) - 1)
    limits = np.unique(np.round(np.quantile(known, np.arange(1, BINS) / BINS) / step)) * step
    return with_limits(name, label, values, [float(f"{limit:.6g}") for limit in limits])


def of_counts(name: str, label: str, values: Ints, first: int = 2, last: int = 6) -> Bins:
    """Return a bin for each integer from ``first`` to ``last``; the first and last bins also hold everything below and above."""
    lowest = f"≤ {first}" if (values < first).any() else f"{first}"
    texts = (lowest, *(f"{number}" for number in range(first + 1, last)), f"≥ {last}")
    return Bins(name, label, texts, np.clip(values, first, last) - first)
