"""Leading-order spin density of top pairs from gg and qq, and weights that add a spin correlation to simulated decays."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collidekit.errors import CollidekitError
from collidekit.reconstruction.four_momenta import Floats
from collidekit.reconstruction.spin import DecayDirections

Correlation = Literal["sm", "singlet", "none"]


def leading_order_correlation(beta: ArrayLike, cos_theta: ArrayLike, is_gg: ArrayLike) -> Floats:
    """Return the correlation matrix C (..., 3, 3) of top and antitop spins in the basis (k, r, n) at leading order.

    `beta` is the velocity of the top and `cos_theta` the cosine of its polar angle in the top-pair frame; `is_gg` is true for gg and
    false for qq. From arXiv 2003.02280, appendix A. D = tr C / 3 is +1/3 for qq, and between -1 (threshold) and +1/3 for gg.
    """
    b2 = np.square(np.asarray(beta, dtype=np.float64))
    c = np.asarray(cos_theta, dtype=np.float64)
    s2 = 1 - c**2
    s = np.sqrt(np.maximum(s2, 0.0))
    sin_2theta = 2 * s * c
    slow = np.sqrt(np.maximum(1 - b2, 0.0))

    qq = (2 - (2 - b2) * s2, (2 - b2) * s2, -b2 * s2, slow * sin_2theta)
    qq_norm = 2 - b2 * s2
    s4 = 1 + s2**2
    gg = (
        -(1 - b2 * sin_2theta**2 / 2 - b2**2 * s4),
        -(1 - b2 * (2 - b2) * s4),
        -(1 - 2 * b2 + b2**2 * s4),
        slow * b2 * sin_2theta * s2,
    )
    gg_norm = 1 + 2 * b2 * s2 - b2**2 * s4

    gluons = np.asarray(is_gg, dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore"):  # beta = 1 along the beam: gg has no cross section there
        kk, rr, nn, kr = (np.where(gluons, g / gg_norm, q / qq_norm) for g, q in zip(gg, qq, strict=True))
    zero = np.zeros_like(kk)
    return np.stack(
        [np.stack([kk, kr, zero], -1), np.stack([kr, rr, zero], -1), np.stack([zero, zero, nn], -1)], axis=-2
    )


def spin_weights(directions: DecayDirections, is_gg: ArrayLike, correlation: Correlation) -> Floats:
    """Return weights 1 - l+^T C l- (...) that add the spin correlation C to decays that were simulated without correlation.

    `"sm"` uses the leading-order C for beta, polar angle and initial state of each event, `"singlet"` uses minus the unit matrix, and the
    weights of `"none"` are 1. Weights lie between 0 and 2, and their mean over all decays of an event is 1.
    """
    if correlation not in get_args(Correlation):
        known = ", ".join(get_args(Correlation))
        raise CollidekitError(f"unknown spin correlation {correlation!r}; known are {known}")
    if correlation == "none":
        return np.ones_like(directions.beta)
    if correlation == "singlet":
        return 1 + directions.c_hel
    c = leading_order_correlation(directions.beta, directions.cos_theta, is_gg)
    return correlated(directions, c)


def correlated(directions: DecayDirections, correlation: NDArray[np.float64]) -> Floats:
    """Return 1 - l+^T C l- (...) for C (..., 3, 3) in the basis (k, r, n); it is between 0 and 2 if C belongs to a quantum state."""
    plus, minus = (
        np.einsum("...ij,...j->...i", directions.basis, lepton) for lepton in (directions.plus, directions.minus)
    )
    weight = 1 - np.einsum("...i,...ij,...j->...", plus, correlation, minus)
    return np.asarray(np.where(np.abs(weight) < 1e-12, 0.0, weight))
