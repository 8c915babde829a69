"""The invariant mass of two particles from transverse momenta, angles and energies, for expressions."""

from typing import Any

import numpy as np

ROUNDING = 0.01
"""The part of its momentum by which an energy may be below it: files round. Such a particle counts as massless."""


def pair_mass(pt1: Any, eta1: Any, phi1: Any, energy1: Any, pt2: Any, eta2: Any, phi2: Any, energy2: Any) -> Any:
    """Return the invariant mass of two particles, in the unit of their energies; of numbers, arrays or lists of rows.

    With d = E - p, which is m^2 / (E + p), the squared mass is m1^2 + m2^2 + 2 (d1 d2 + d1 p2 + d2 p1) +
    4 pt1 pt2 (sinh^2(delta_eta / 2) + sin^2(delta_phi / 2)). No term is negative and none cancels another, so that it holds for
    massless particles side by side, too. NaN where a number is NaN, a transverse momentum is negative (as in padding) or an
    energy is below the momentum by more than 1 %.
    """
    p1, above1 = _momentum_and_rest(pt1, eta1, energy1)
    p2, above2 = _momentum_and_rest(pt2, eta2, energy2)
    own = above1 * (2 * p1 + above1) + above2 * (2 * p2 + above2)
    angles = np.sinh((eta1 - eta2) / 2) ** 2 + np.sin((phi1 - phi2) / 2) ** 2
    together = above1 * above2 + above1 * p2 + above2 * p1
    return np.sqrt(own + 2 * together + 4 * pt1 * pt2 * angles)


def _momentum_and_rest(pt: Any, eta: Any, energy: Any) -> tuple[Any, Any]:
    """The momentum, and how far the energy is above it; NaN, by the square root of a negative number, for what cannot be."""
    momentum = np.sqrt(pt) ** 2 * np.cosh(eta)
    rest = energy - momentum
    possible = np.sqrt(rest + ROUNDING * momentum) * 0
    return momentum, np.maximum(rest, 0) + possible
