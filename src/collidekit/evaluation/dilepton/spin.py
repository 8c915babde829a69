"""Spin correlation D of each method and of the truth, for all events and in bins of m(tt)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from collidekit.evaluation.dilepton.kinematics import TopPair
from collidekit.evaluation.dilepton.sample import Sample
from collidekit.evaluation.rows import Bools, Floats
from collidekit.reconstruction.spin import spin_marker

TRUTH = "truth"
ALL = "all"
AS_GIVEN = "as given"
"""Name of the weights of the events alone, without injected spin correlation."""


@dataclass(frozen=True)
class SpinLine:
    """D = -3 <c_hel> and <c_han> of one method or of the truth, with one injected correlation, in one bin of its own m(tt)."""

    correlation: str
    method: str
    mass_bin: str
    events: int
    d: float
    d_error: float
    c_han: float
    c_han_error: float


@dataclass(frozen=True, eq=False)
class Cosines:
    """c_hel and c_han (N,) and the bins of m(tt) of one method; NaN without a solution."""

    c_hel: Floats
    c_han: Floats
    bins: tuple[str, ...]
    numbers: np.ndarray[tuple[int], np.dtype[np.int64]]

    def chosen(self, mass_bin: int | None) -> Bools:
        """Return the flags (N,) of events with known c_hel, in a bin or in total."""
        known = np.isfinite(self.c_hel)
        return known if mass_bin is None else known & (self.numbers == mass_bin)


def cosines(sample: Sample, pair: TopPair) -> Cosines | None:
    """Return the spin observables of a method or of the truth; None if it has no tops or no leptons."""
    directions = pair.directions
    if directions is None or not np.isfinite(directions.c_hel).any():
        return None
    bins = sample.mass_bins(pair)
    return Cosines(directions.c_hel, directions.c_han, bins.texts, bins.numbers)


def correlations(sample: Sample) -> Mapping[str, Floats]:
    """Return the weights (N,) of each injected correlation, or the weights of the events."""
    factors = sample.spin_weights or {AS_GIVEN: np.ones_like(sample.weights)}
    return {name: sample.weights * factor for name, factor in factors.items()}


def measure_spin(sample: Sample) -> list[SpinLine]:
    """Return D and <c_han> of truth and methods, each in bins of its own m(tt); empty without true tops and leptons."""
    if cosines(sample, sample.truth) is None:
        return []
    found = []
    for correlation, weights in correlations(sample).items():
        for name, pair in {TRUTH: sample.truth, **sample.methods}.items():
            if (own := cosines(sample, pair)) is None:
                continue
            for number, text in ((None, ALL), *enumerate(own.bins)):
                rows = own.chosen(number)
                d, d_error = spin_marker(own.c_hel[rows], weights[rows])
                han, han_error = spin_marker(own.c_han[rows], weights[rows])
                found.append(
                    SpinLine(correlation, name, text, int(rows.sum()), d, d_error, 0.0 - han / 3, han_error / 3)
                )
    return found
