"""Density of the mass of lepton and b from one top, used as a weight of pairings and smeared copies."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from collidekit.errors import CollidekitError
from collidekit.reconstruction.four_momenta import Floats, mass_squared
from collidekit.reconstruction.pairing import squared_masses


@dataclass(frozen=True)
class MassDensity:
    """A histogram of m(lb) with integral 1; the density is 0 outside of its range."""

    edges: Floats
    """``(K + 1,)`` in GeV, ascending."""
    density: Floats
    """``(K,)`` per GeV."""

    def __post_init__(self) -> None:
        edges, density = (np.asarray(values, dtype=np.float64) for values in (self.edges, self.density))
        if edges.ndim != 1 or density.shape != (len(edges) - 1,) or not (np.diff(edges) > 0).all():
            raise CollidekitError("density of m(lb): must have K + 1 ascending edges and K values")
        total = float(np.sum(density * np.diff(edges)))
        if not np.isfinite(total) or total <= 0 or (density < 0).any():
            raise CollidekitError("density of m(lb): values must be positive or 0, and not all 0")
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "density", density / total)

    def __call__(self, mass: Floats) -> Floats:
        """Return the density ``(...)`` at masses ``(...)``; 0 for NaN."""
        place = np.searchsorted(self.edges, mass, side="right") - 1
        inside = (place >= 0) & (place < len(self.density))
        return np.where(inside, self.density[np.clip(place, 0, len(self.density) - 1)], 0.0)


def density_from_truth(
    leptons: Floats, bottoms: Floats, weights: ArrayLike | None = None, edges: ArrayLike | None = None
) -> MassDensity:
    """Return the histogram of m(lb) of true pairs: leptons and b quarks or jets, both ``(N, 2, 4)`` in the same order.

    ``weights (N,)`` are event weights. The default edges are 0, 4, ... 200 GeV. Pairs with NaN are left out.
    """
    masses = np.sqrt(np.maximum(mass_squared(leptons + bottoms), 0.0))
    of_pairs = np.ones(masses.shape) if weights is None else np.broadcast_to(np.asarray(weights)[:, None], masses.shape)
    edges = np.arange(0, 204, 4.0) if edges is None else np.asarray(edges, dtype=np.float64)
    known = np.isfinite(masses) & np.isfinite(of_pairs)
    counts, _ = np.histogram(masses[known], bins=edges, weights=of_pairs[known])
    if not counts.sum() > 0:
        raise CollidekitError(
            "density of m(lb): no true pair of lepton and b has a mass within the edges of the histogram"
        )
    return MassDensity(edges, np.maximum(counts, 0.0) / np.diff(edges))


def leading_order_density(top: float = 172.5, w: float = 80.379, bins: int = 100) -> MassDensity:
    """Return the density of m(lb) in ``t -> b W -> b l nu`` at leading order, with a massless b and an on-shell W.

    cos theta* = 2 m(lb)^2 / (mt^2 - mW^2) - 1 follows 3/4 F0 sin^2 + 3/8 FL (1 - cos)^2, with F0 = mt^2 / (mt^2 + 2 mW^2) and
    FL = 1 - F0. No mass is above sqrt(mt^2 - mW^2).
    """
    end = np.sqrt(top**2 - w**2)
    edges = np.linspace(0, end, bins + 1)
    cosine = 2 * (edges / end) ** 2 - 1
    longitudinal = top**2 / (top**2 + 2 * w**2)
    cumulative = longitudinal * (2 + 3 * cosine - cosine**3) / 4 + (1 - longitudinal) * (1 - (1 - cosine) ** 3 / 8)
    return MassDensity(edges, np.diff(cumulative) / np.diff(edges))


def pair_weights(density: MassDensity, leptons: Floats, bottoms: Floats) -> Floats:
    """Return the product of both densities ``(N, P)`` for leptons ``(N, 2, 4)`` and b jets ``(N, P, 2, 4)``."""
    found = [
        density(np.sqrt(squared_masses(leptons[:, [index]], bottoms[:, :, index])))[:, 0] for index in (0, 1)
    ]  # each (N, P)
    return found[0] * found[1]
