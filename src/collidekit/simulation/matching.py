"""Jets against truth particles in distance."""

from __future__ import annotations

import numpy as np

from collidekit.simulation.clustering import Jets
from collidekit.simulation.generator import FloatArray, IntArray, Particles


def count_near(jets: Jets, particles: Particles, radius: float) -> IntArray:
    """How many of the particles of its event lie within `radius` of each jet, (J,)."""
    first = np.searchsorted(particles.event, jets.event, side="left")
    pairs = np.searchsorted(particles.event, jets.event, side="right") - first
    jet = np.repeat(np.arange(len(pairs)), pairs)
    particle = np.arange(len(jet)) + np.repeat(first - (np.cumsum(pairs) - pairs), pairs)
    distance = np.hypot(particles.eta[particle] - jets.eta[jet], delta_phi(particles.phi[particle], jets.phi[jet]))
    return np.bincount(jet[distance < radius], minlength=len(pairs))


def delta_phi(phi: FloatArray, other: FloatArray) -> FloatArray:
    """Signed difference in azimuth, within half a turn."""
    wrapped: FloatArray = np.remainder(phi - other + np.pi, 2 * np.pi) - np.pi
    return wrapped


def match_unique(distance: FloatArray, radius: float) -> IntArray:
    """Return the jet of each quark (N, Q), from distances (N, Q, J), infinite where there is no jet.

    It is the nearest jet within `radius`; -1 where there is none, and for all quarks that share their jet.
    """
    if not distance.shape[-1]:
        return np.full(distance.shape[:2], -1)
    nearest = np.argmin(distance, axis=-1)
    near = np.take_along_axis(distance, nearest[..., None], axis=-1)[..., 0] < radius
    jet = np.where(near, nearest, -1)
    shared = np.sum((jet[:, :, None] == jet[:, None, :]) & near[:, :, None], axis=2) > 1
    return np.where(shared, -1, jet)
