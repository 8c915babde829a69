"""The invariant mass of two particles from transverse momenta, angles and energies, for expressions."""

from typing import Any

import numpy as np

ROUNDING = 0.01
"""Largest relative difference by which an energy may be below its momentum because of rounding. Such a particle is massless."""


def pair_mass(pt1: Any, eta1: Any, phi1: Any, energy1: Any, pt2: Any, eta2: Any, phi2: Any, energy2: Any) -> Any:
    """Return the invariant mass of two particles in the unit of their energies, for numbers, arrays or lists of rows.

    With d = E - p, which is m^2 / (E + p), the squared mass is m1^2 + m2^2 + 2 (d1 d2 + d1 p2 + d2 p1) +
    4 pt1 pt2 (sinh^2(delta_eta / 2) + sin^2(delta_phi / 2)). All terms are non-negative, so no digits cancel, also for
    collinear massless particles. The result is NaN if a number is NaN, a transverse momentum is negative (as in padding) or
    an energy is below the momentum by more than 1 %.
    """
    p1, above1 = _momentum_and_rest(pt1, eta1, energy1)
    p2, above2 = _momentum_and_rest(pt2, eta2, energy2)
    own = above1 * (2 * p1 + above1) + above2 * (2 * p2 + above2)
    angles = np.sinh((eta1 - eta2) / 2) ** 2 + np.sin((phi1 - phi2) / 2) ** 2
    together = above1 * above2 + above1 * p2 + above2 * p1
    return np.sqrt(own + 2 * together + 4 * pt1 * pt2 * angles)


def _momentum_and_rest(pt: Any, eta: Any, energy: Any) -> tuple[Any, Any]:
    """Return the momentum, and the energy minus the momentum; both are NaN for impossible values (through a negative root)."""
    momentum = np.sqrt(pt) ** 2 * np.cosh(eta)
    rest = energy - momentum
    possible = np.sqrt(rest + ROUNDING * momentum) * 0
    return momentum, np.maximum(rest, 0) + possible
