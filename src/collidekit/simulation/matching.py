"""Matching of jets with truth particles by distance."""

from __future__ import annotations

import numpy as np

from collidekit.simulation.clustering import Jets
from collidekit.simulation.generator import FloatArray, IntArray, Particles


def count_near(jets: Jets, particles: Particles, radius: float) -> IntArray:
    """Return the number of particles of the event within `radius` of each jet, (J,)."""
    first = np.searchsorted(particles.event, jets.event, side="left")
    pairs = np.searchsorted(particles.event, jets.event, side="right") - first
    jet = np.repeat(np.arange(len(pairs)), pairs)
    particle = np.arange(len(jet)) + np.repeat(first - (np.cumsum(pairs) - pairs), pairs)
    distance = np.hypot(particles.eta[particle] - jets.eta[jet], delta_phi(particles.phi[particle], jets.phi[jet]))
    return np.bincount(jet[distance < radius], minlength=len(pairs))


def delta_phi(phi: FloatArray, other: FloatArray) -> FloatArray:
    """Return the signed difference in azimuth, from -pi to pi."""
    wrapped: FloatArray = np.remainder(phi - other + np.pi, 2 * np.pi) - np.pi
    return wrapped


def match_unique(distance: FloatArray, radius: float) -> IntArray:
    """Return the jet of each quark (N, Q), from distances (N, Q, J), which are infinite for padding.

    It is the nearest jet within `radius`; -1 without a jet, and for all quarks with the same nearest jet.
    """
    if not distance.shape[-1]:
        return np.full(distance.shape[:2], -1)
    nearest = np.argmin(distance, axis=-1)
    near = np.take_along_axis(distance, nearest[..., None], axis=-1)[..., 0] < radius
    jet = np.where(near, nearest, -1)
    shared = np.sum((jet[:, :, None] == jet[:, None, :]) & near[:, :, None], axis=2) > 1
    return np.where(shared, -1, jet)
