"""Four-momenta as arrays ``(..., 4)`` of ``(E, px, py, pz)``, in double precision and in the unit of the input (GeV).

NaN stays NaN in all functions and gives no warning. Angles are in radians; z is the beam.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def from_pt_eta_phi_mass(pt: ArrayLike, eta: ArrayLike, phi: ArrayLike, mass: ArrayLike = 0.0) -> Floats:
    """Return four-momenta ``(..., 4)`` from transverse momentum, pseudorapidity, azimuth and mass."""
    momentum = _three_momentum(pt, eta, phi)
    squared = np.sum(momentum**2, axis=-1) + np.asarray(mass, dtype=np.float64) ** 2
    return with_energy(momentum, np.sqrt(squared))


def from_pt_eta_phi_energy(pt: ArrayLike, eta: ArrayLike, phi: ArrayLike, energy: ArrayLike) -> Floats:
    """Return four-momenta ``(..., 4)`` from transverse momentum, pseudorapidity, azimuth and energy.

    The energy is kept as it is, also where it is below the momentum (negative squared mass).
    """
    return with_energy(_three_momentum(pt, eta, phi), energy)


def with_energy(momentum: ArrayLike, energy: ArrayLike) -> Floats:
    """Return four-momenta ``(..., 4)`` from three-momenta ``(..., 3)`` and energies ``(...)``."""
    momentum = np.asarray(momentum, dtype=np.float64)
    energy = np.broadcast_to(np.asarray(energy, dtype=np.float64), momentum.shape[:-1])
    return np.concatenate([energy[..., None], momentum], axis=-1)


def with_mass(momentum: ArrayLike, mass: ArrayLike = 0.0) -> Floats:
    """Return four-momenta ``(..., 4)`` from three-momenta ``(..., 3)`` and masses ``(...)``."""
    momentum = np.asarray(momentum, dtype=np.float64)
    return with_energy(momentum, np.sqrt(np.sum(momentum**2, axis=-1) + np.asarray(mass, dtype=np.float64) ** 2))


def _three_momentum(pt: ArrayLike, eta: ArrayLike, phi: ArrayLike) -> Floats:
    pt, eta, phi = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (pt, eta, phi)))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=-1)


def pt(momenta: Floats) -> Floats:
    """Return transverse momenta ``(...)``."""
    return np.hypot(momenta[..., 1], momenta[..., 2])


def phi(momenta: Floats) -> Floats:
    """Return azimuths ``(...)`` from -pi to pi; 0 without transverse momentum."""
    return np.arctan2(momenta[..., 2], momenta[..., 1])


def eta(momenta: Floats) -> Floats:
    """Return pseudorapidities ``(...)``: infinite along the beam, 0 for a vanishing momentum."""
    transverse, along = pt(momenta), momenta[..., 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.arcsinh(along / transverse)
    return np.where((transverse == 0) & (along == 0), 0.0, values)


def rapidity(momenta: Floats) -> Floats:
    """Return rapidities ``(...)`` along the beam; infinite or NaN where the energy is not above the momentum along it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.arctanh(momenta[..., 3] / momenta[..., 0]))


def mass_squared(momenta: Floats) -> Floats:
    """Return squared masses ``(...)``, negative for space-like momenta."""
    energy, px, py, pz = (momenta[..., i] for i in range(4))
    return energy * energy - px * px - py * py - pz * pz


def mass(momenta: Floats) -> Floats:
    """Return masses ``(...)``; a negative squared mass -m^2 gives -m, as in ROOT."""
    squared = mass_squared(momenta)
    return np.sign(squared) * np.sqrt(np.abs(squared))


def delta_phi(first: Floats, second: Floats) -> Floats:
    """Return differences of azimuth ``(...)`` of two arrays of four-momenta, from -pi to pi."""
    return wrap_angle(phi(first) - phi(second))


def wrap_angle(angle: Floats) -> Floats:
    """Return angles in the range from -pi (included) to pi (not included)."""
    with np.errstate(invalid="ignore"):
        return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def delta_r(first: Floats, second: Floats) -> Floats:
    """Return the distances ``(...)`` in pseudorapidity and azimuth of two arrays of four-momenta."""
    with np.errstate(invalid="ignore"):
        return np.hypot(eta(first) - eta(second), delta_phi(first, second))


def boost(momenta: Floats, velocity: Floats) -> Floats:
    """Return four-momenta ``(..., 4)`` in a frame in which the old frame moves with a velocity ``(..., 3)``.

    A particle at rest gets this velocity. NaN where the velocity is not below 1, the speed of light.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        gamma = 1 / np.sqrt(1 - np.sum(velocity**2, axis=-1))
        return _boost(momenta, velocity, np.where(gamma > 0, gamma, np.nan))


def to_rest_frame(momenta: Floats, of: Floats) -> Floats:
    """Return four-momenta ``(..., 4)`` in the rest frame of others ``(..., 4)``, by a boost without rotation.

    NaN where the squared mass or the energy of ``of`` is not positive.
    """
    squared = mass_squared(of)
    with np.errstate(invalid="ignore", divide="ignore"):
        known = (squared > 0) & (of[..., 0] > 0)
        gamma = np.where(known, of[..., 0] / np.sqrt(np.where(known, squared, np.nan)), np.nan)
        return _boost(momenta, -of[..., 1:] / of[..., :1], gamma)


def _boost(momenta: Floats, velocity: Floats, gamma: Any) -> Floats:
    along = np.sum(velocity * momenta[..., 1:], axis=-1)
    energy = momenta[..., 0]
    # gamma^2 / (1 + gamma) is (gamma - 1) / velocity^2, also at rest
    factor = gamma**2 / (1 + gamma) * along + gamma * energy
    return with_energy(momenta[..., 1:] + factor[..., None] * velocity, gamma * (energy + along))


def boost_along_beam(momenta: Floats, rapidity: ArrayLike) -> Floats:
    """Return four-momenta ``(..., 4)`` whose rapidity is larger by a given one."""
    cosh, sinh = np.cosh(rapidity), np.sinh(rapidity)
    energy, along = momenta[..., 0], momenta[..., 3]
    out = np.array(momenta, dtype=np.float64)
    out[..., 0], out[..., 3] = cosh * energy + sinh * along, sinh * energy + cosh * along
    return out
