"""Kinematics of four-momenta (..., 4) as (E, px, py, pz), in GeV."""

from __future__ import annotations

import numpy as np

from collidekit.simulation.generator import FloatArray, pseudorapidity
from collidekit.simulation.matching import delta_phi


def pt_of(p: FloatArray) -> FloatArray:
    """Return the transverse momentum (...)."""
    return np.hypot(p[..., 1], p[..., 2])


def eta_of(p: FloatArray) -> FloatArray:
    """Return the pseudorapidity (...)."""
    return pseudorapidity(p[..., 1], p[..., 2], p[..., 3])


def phi_of(p: FloatArray) -> FloatArray:
    """Return the azimuth (...), from -pi to pi."""
    return np.arctan2(p[..., 2], p[..., 1])


def mass_of(p: FloatArray) -> FloatArray:
    """Return the mass (...), 0 where its square is negative."""
    square = p[..., 0] ** 2 - np.sum(p[..., 1:] ** 2, axis=-1)
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))


def distance(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return the distance in pseudorapidity and azimuth (...)."""
    apart: FloatArray = np.hypot(eta_of(p) - eta_of(q), delta_phi(phi_of(p), phi_of(q)))
    return apart
