"""Average neutrinos over smeared copies of an event: solve the ellipses of each copy, and weight it by the density of m(lb)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.reconstruction.ellipse import NeutrinoEllipse, neutrino_ellipse
from collidekit.reconstruction.event_random import Seeds, normal, seeds_from_kinematics, uniform
from collidekit.reconstruction.four_momenta import Floats, mass_squared, with_energy, with_mass
from collidekit.reconstruction.intersection import intersections
from collidekit.reconstruction.lepton_b_mass import MassDensity, leading_order_density, pair_weights
from collidekit.reconstruction.masses import Masses, per_event


@dataclass(frozen=True)
class Resolutions:
    """Resolutions of the smearing; energies in GeV, angles in radians."""

    jet_stochastic: float = 0.8
    """Standard deviation of a jet's energy: ``jet_stochastic`` sqrt(E) plus ``jet_constant`` E, added in quadrature."""
    jet_constant: float = 0.05
    jet_angle: float = 0.02
    """Standard deviation of the direction of a jet in each of two perpendicular directions."""
    lepton_energy: float = 0.01
    """Relative standard deviation of a lepton's energy."""
    lepton_angle: float = 0.001
    w_width: float = 2.085
    """Width of the Breit-Wigner distribution of the W mass."""
    w_range: float = 15.0
    """W masses are drawn within this distance from the nominal mass."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (np.isfinite(value) and value >= 0):
                raise CollidekitError(f"resolutions: {name} must be 0 or a positive number, got {value}")


class Average(NamedTuple):
    """Weighted means over the smeared copies of each event."""

    neutrinos: Floats
    """``(N, P, 2, 4)``: massless momenta with the mean three-momenta; NaN if no copy has a solution."""
    weight: Floats
    """``(N, P)``: mean weight over all copies; copies without a solution have the weight 0."""
    spread: Floats
    """``(N, P, 2, 3)``: weighted standard deviation of the momenta."""
    solved: Floats
    """``(N, P)``: fraction of copies with a solution."""


def average_smeared(
    bottoms: Floats,
    leptons: Floats,
    met: Floats,
    seeds: Seeds,
    masses: Masses | None = None,
    *,
    smearings: int = 100,
    resolutions: Resolutions | None = None,
    density: MassDensity | None = None,
) -> Average:
    """Return mean neutrinos for b jets ``(N, P, 2, 4)``, leptons ``(N, 2, 4)``, missing momentum ``(N, 2)`` and seeds ``(N,)``.

    The first of ``smearings`` copies is the measured event. In the others, the energies and directions of leptons and b jets and
    both W masses are smeared, and the missing momentum is changed accordingly. Each copy contributes its exact solution with the smallest
    mass of the top pair, weighted with the product of both densities of m(lb) (default: leading order, with the nominal masses).
    """
    if smearings < 1:
        raise CollidekitError(f"smeared_ellipse: smearings must be at least 1, got {smearings}")
    masses, resolutions = masses or Masses(), resolutions or Resolutions()
    density = leading_order_density() if density is None else density
    count, pairings = bottoms.shape[:2]
    lepton_set = _smear_leptons(leptons, seeds, smearings, resolutions)[:, :, None]  # (N, S, 1, 2, 4)
    bottom_set = _smear_jets(bottoms, seeds, smearings, resolutions)  # (N, S, P, 2, 4)
    with np.errstate(invalid="ignore"):
        change = (lepton_set - leptons[:, None, None]).sum(axis=3) + (bottom_set - bottoms[:, None]).sum(axis=3)
        met_set = met[:, None, None] - change[..., 1:3]  # (N, S, P, 2)
    ellipses = _ellipses(bottom_set, lepton_set, masses, _w_masses(masses, seeds, smearings, resolutions))
    momenta, valid = intersections(ellipses[0], ellipses[1], met_set)  # (N, S, P, 4, 2, 3)
    solutions = with_mass(momenta)
    visible = (lepton_set + bottom_set).sum(axis=3)
    with np.errstate(invalid="ignore"):
        squared = np.where(valid, mass_squared(visible[:, :, :, None] + solutions.sum(axis=-2)), np.inf)
    best = squared.argmin(axis=-1)[..., None, None, None]
    known = np.asarray(valid.any(axis=-1))
    neutrinos = np.where(known[..., None, None], np.take_along_axis(momenta, best, axis=3)[:, :, :, 0], 0.0)
    flat = count * smearings
    every_lepton = np.broadcast_to(lepton_set, (count, smearings, 1, 2, 4)).reshape(flat, 2, 4)
    weights = pair_weights(density, every_lepton, bottom_set.reshape(flat, pairings, 2, 4)).reshape(known.shape)
    weights = np.where(known, weights, 0.0)
    sums = weights.sum(axis=1)
    shares = (weights / np.where(sums > 0, sums, np.nan)[:, None])[..., None, None]
    mean = (shares * neutrinos).sum(axis=1)
    spread = np.sqrt((shares * (neutrinos - mean[:, None]) ** 2).sum(axis=1))
    return Average(with_mass(mean), sums / smearings, spread, known.mean(axis=1))


def _normal(seeds: Seeds, smearings: int, columns: int) -> Floats:
    """Return normal random numbers ``(N, S, columns)``; they are 0 for the first copy, which is the measured event."""
    numbers = normal(seeds, smearings * columns).reshape(-1, smearings, columns)
    numbers[:, 0] = 0.0
    return numbers


def _smear_leptons(leptons: Floats, seeds: Seeds, smearings: int, resolutions: Resolutions) -> Floats:
    numbers = _normal(seeds ^ np.uint64(1), smearings, 6).reshape(-1, smearings, 2, 3)
    return smear(leptons[:, None], resolutions.lepton_energy, resolutions.lepton_angle, numbers)


def _smear_jets(bottoms: Floats, seeds: Seeds, smearings: int, resolutions: Resolutions) -> Floats:
    """Return smeared jets. The random numbers of a jet are the same in all pairings and for any order of the jets."""
    of_pairs = np.broadcast_to(seeds[:, None, None], bottoms.shape[:3]).ravel()
    of_jets = seeds_from_kinematics(bottoms[..., 1:].reshape(-1, 3), of_pairs)
    numbers = np.moveaxis(_normal(of_jets, smearings, 3).reshape(*bottoms.shape[:3], smearings, 3), 3, 1)
    with np.errstate(all="ignore"):
        energy = np.maximum(bottoms[..., 0], 0.0)
        relative = np.hypot(resolutions.jet_stochastic / np.sqrt(energy), resolutions.jet_constant)
    return smear(bottoms[:, None], relative[:, None], resolutions.jet_angle, numbers)


def smear(momenta: Floats, relative: Floats | float, angle: float, numbers: Floats) -> Floats:
    """Return four-momenta ``(..., 4)`` with smeared energy and direction, and the same ratio of mass to energy.

    ``numbers (..., 3)`` are standard normal. The first changes the energy, with the relative standard deviation ``relative``, to at least a
    tenth. The others rotate the direction, with the standard deviation ``angle`` in two perpendicular directions.
    """
    scale = np.maximum(1 + relative * numbers[..., 0], 0.1)
    vector = momenta[..., 1:]
    with np.errstate(all="ignore"):
        length = np.sqrt(np.sum(vector**2, axis=-1, keepdims=True))
        unit = vector / length
        # any two directions perpendicular to the momentum, because the smearing is symmetric around it
        axis = np.where(np.abs(unit[..., 2:]) < 0.9, np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0]))
        across = np.cross(axis, unit)
        across = across / np.sqrt(np.sum(across**2, axis=-1, keepdims=True))
        turned = unit + angle * (numbers[..., 1:2] * across + numbers[..., 2:] * np.cross(unit, across))
        turned = turned / np.sqrt(np.sum(turned**2, axis=-1, keepdims=True)) * length
    return with_energy(turned * scale[..., None], momenta[..., 0] * scale)


def _ellipses(bottoms: Floats, leptons: Floats, masses: Masses, w: Floats) -> list[NeutrinoEllipse]:
    """Return the ellipses ``(N, S, P)`` of both neutrinos, each with its own W masses ``(N, S, 2)``."""
    bottom_mass = None if masses.bottom is None else per_event(masses.bottom, 3)
    return [
        neutrino_ellipse(
            bottoms[:, :, :, side],
            np.broadcast_to(leptons[:, :, :, side], bottoms[:, :, :, side].shape),
            per_event(masses.top, 3),
            w[:, :, None, side],
            bottom_mass=bottom_mass,
            massless_lepton=masses.massless_leptons,
        )
        for side in (0, 1)
    ]


def _w_masses(masses: Masses, seeds: Seeds, smearings: int, resolutions: Resolutions) -> Floats:
    """Return W masses ``(N, S, 2)`` from a Breit-Wigner distribution of m^2 in the allowed range."""
    nominal = np.broadcast_to(per_event(masses.w, 3), (len(seeds), smearings, 2))
    if resolutions.w_width == 0 or resolutions.w_range == 0:
        return nominal
    numbers = uniform(seeds ^ np.uint64(3), smearings * 2).reshape(-1, smearings, 2)
    scale = nominal * resolutions.w_width
    ends = [
        np.arctan((np.maximum(nominal + sign * resolutions.w_range, 0.0) ** 2 - nominal**2) / scale) for sign in (-1, 1)
    ]
    drawn: Floats = np.sqrt(np.maximum(nominal**2 + scale * np.tan(ends[0] + numbers * (ends[1] - ends[0])), 0.0))
    drawn[:, 0] = nominal[:, 0]
    return drawn
