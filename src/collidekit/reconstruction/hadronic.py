"""Chi-square assignment of jets to b, q, q of both tops in all-hadronic top pairs."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from collidekit.errors import CollidekitError
from collidekit.reconstruction.events import Status
from collidekit.reconstruction.four_momenta import Floats, pt

NUMBERS_AT_ONCE = 100_000
"""Number of chi-squares in memory, so that they fit in the cache: 10 jets have 18,900 per event."""
MOST_JETS = 12
"""Maximum number of permuted jets: 83,160 assignments."""


@dataclass(frozen=True)
class HadronicChiSquare:
    """Chi-square of two tops with terms for both W masses and both top masses, in GeV.

    The widths are detector resolutions, not natural widths. Determine them with simulation.
    """

    w_mass: float = 80.379
    w_width: float = 10.0
    top_mass: float | None = 172.5
    """With None, one term for the difference of both top masses replaces the two terms."""
    top_width: float = 20.0
    """Width of each top mass, or of their difference."""
    most_jets: int = 10
    """Number of jets with the highest transverse momentum that are permuted."""
    tag_threshold: float | None = None
    """With a threshold, only jets with at least this b tag are b candidates, and only the others are q candidates."""

    def __post_init__(self) -> None:
        for name in ("w_mass", "w_width", "top_mass", "top_width"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise CollidekitError(f"hadronic chi-square: {name} must be a positive number in GeV, got {value}")
        if not 6 <= self.most_jets <= MOST_JETS:
            raise CollidekitError(f"hadronic chi-square: most_jets must be from 6 to {MOST_JETS}, got {self.most_jets}")

    def reconstruct(
        self, jets: Floats, mask: NDArray[np.bool_], btag: Floats | None = None
    ) -> "HadronicReconstruction":
        """Return the best assignment of jets ``(N, J, 4)`` with a mask ``(N, J)`` and b tags ``(N, J)``.

        With ``tag_threshold``: if fewer than two jets are tagged, the jets with the highest b tags are added to the b candidates to
        make two. If fewer than four jets are untagged, the jets with the lowest b tags are added to the q candidates to make four.
        """
        jets, mask = np.asarray(jets, dtype=np.float64), np.asarray(mask, dtype=bool)
        if self.tag_threshold is not None and btag is None:
            raise CollidekitError("hadronic chi-square: tag_threshold needs b tags of the jets")
        for name, shape in (("mask", mask.shape), ("b tags", mask.shape if btag is None else np.shape(btag))):
            if jets.ndim != 3 or jets.shape[2] != 4 or shape != jets.shape[:2]:
                raise CollidekitError(
                    f"hadronic chi-square: the shapes of jets {jets.shape} and {name} {shape} do not agree"
                )
        found = HadronicReconstruction.empty(len(jets))
        numbers = np.minimum(mask.sum(axis=1), self.most_jets)
        finite = (np.isfinite(jets).all(axis=2) | ~mask).all(axis=1)
        found.status[numbers < 6] = Status.TOO_FEW_JETS
        found.status[~finite] = Status.NOT_FINITE
        with np.errstate(invalid="ignore"):
            order = np.lexsort((-pt(jets), ~mask), axis=1)
        for number in range(6, self.most_jets + 1):
            rows = np.flatnonzero(finite & (numbers == number))
            chunk = max(1, NUMBERS_AT_ONCE // len(hadronic_assignments(number)[1])) if len(rows) else 1
            for begin in range(0, len(rows), chunk):
                part = rows[begin : begin + chunk]
                chosen = order[part, :number]
                tags = None if btag is None else np.asarray(btag, dtype=np.float64)[part[:, None], chosen]
                places, found.chi_square[part] = self._solve(jets[part[:, None], chosen], tags)
                found.jets[part] = np.take_along_axis(chosen, places.reshape(len(part), 6), axis=1).reshape(-1, 2, 3)
                found.status[part] = Status.SOLVED
        return found

    def _solve(self, jets: Floats, btag: Floats | None) -> tuple[NDArray[np.intp], Floats]:
        number = jets.shape[1]
        triplets, pairs = hadronic_assignments(number)
        w_masses, top_masses = _masses(jets, triplets)
        costs = ((w_masses - self.w_mass) / self.w_width) ** 2
        if self.top_mass is not None:
            costs += ((top_masses - self.top_mass) / self.top_width) ** 2
        if self.tag_threshold is not None and btag is not None:
            bottom, light = partition(btag, self.tag_threshold)
            allowed = bottom[:, triplets[:, 0]] & light[:, triplets[:, 1]] & light[:, triplets[:, 2]]
            costs = np.where(allowed, costs, np.inf)
        first, second = np.ascontiguousarray(pairs.T)
        total = costs.take(first, axis=1)  # several times faster than indexing
        total += costs.take(second, axis=1)
        if self.top_mass is None:
            total += ((top_masses.take(first, axis=1) - top_masses.take(second, axis=1)) / self.top_width) ** 2
        best = total.argmin(axis=1)
        return triplets[pairs[best]], total[np.arange(len(best)), best]


@dataclass(frozen=True)
class HadronicReconstruction:
    """The assignment of N events."""

    jets: NDArray[np.int64]
    """``(N, 2, 3)``: b, q, q of both tops, -1 without a result. The tops are interchangeable, and so are both q."""
    chi_square: Floats
    """``(N,)``, NaN without a result."""
    status: NDArray[np.int8]
    """``(N,)`` ``Status``."""

    @classmethod
    def empty(cls, count: int) -> "HadronicReconstruction":
        """Return an empty result for ``count`` events."""
        status = np.full(count, Status.NO_SOLUTION, dtype=np.int8)
        return cls(np.full((count, 2, 3), -1), np.full(count, np.nan), status)


@cache
def hadronic_assignments(number: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return all tops ``(T, 3)`` (b, q, q) of ``number`` jets, and all pairs ``(Q, 2)`` of tops without a common jet.

    Both orders of q and q and of the tops are the same assignment, so there are n! / (8 (n - 6)!) pairs.
    """
    b, q1, q2 = np.meshgrid(*[np.arange(number)] * 3, indexing="ij")
    keep = (q1 < q2) & (b != q1) & (b != q2)
    triplets = np.stack([b[keep], q1[keep], q2[keep]], axis=1)
    members = (np.int64(1) << triplets).sum(axis=1)
    pairs = np.argwhere(np.triu((members[:, None] & members) == 0))
    return triplets, pairs


def partition(btag: Floats, threshold: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return masks ``(N, J)`` of the b candidates and of the q candidates, from b tags (NaN is the lowest)."""
    tag = np.where(np.isnan(btag), -np.inf, btag)
    tagged = tag >= threshold
    rank = np.argsort(np.argsort(-tag, axis=1, kind="stable"), axis=1, kind="stable")
    jets = tag.shape[1]
    return tagged | (rank < 2), ~tagged | (rank >= jets - 4)


def _masses(jets: Floats, triplets: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return masses ``(N, T)`` of q q and of b q q, from the scalar products of all jets; negative squared masses are set to 0."""
    products = (jets * np.array([1.0, -1.0, -1.0, -1.0])) @ np.swapaxes(jets, 1, 2)
    own = np.diagonal(products, axis1=1, axis2=2)
    of_two = own[:, :, None] + own[:, None] + 2 * products
    b, q1, q2 = triplets.T
    w = of_two[:, q1, q2]
    top = w + of_two[:, b, q1] + of_two[:, b, q2] - own[:, b] - own[:, q1] - own[:, q2]
    return np.sqrt(np.maximum(w, 0.0)), np.sqrt(np.maximum(top, 0.0))
