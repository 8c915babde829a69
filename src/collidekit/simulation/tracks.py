"""Impact parameters of charged particles: helix, resolution and lifetime sign."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collidekit.simulation.clustering import Jets
from collidekit.simulation.generator import BoolArray, FloatArray, IntArray, Particles
from collidekit.simulation.matching import delta_phi

FIELD = 3.8  # T
BEND = 0.299792458e-3 * FIELD  # GeV/mm: pT = BEND * radius
VERTEX_RESOLUTION = (0.010, 0.010, 0.015)  # resolution of the primary vertex in mm
TAILS = ((0.05, 2.5), (0.005, 8.0))  # fraction of the tracks, factor of their resolution relative to their error


@dataclass(frozen=True, slots=True)
class Tracks:
    """Measured tracks as flat arrays, in the order of their jets; lengths in mm, pT in GeV.

    d0 = -x sin(phi) + y cos(phi) and z0 are those at the point of closest approach to the primary vertex.
    """

    jet: IntArray
    pt: FloatArray
    eta: FloatArray
    phi: FloatArray
    charge: IntArray
    d0: FloatArray
    z0: FloatArray
    d0_err: FloatArray
    z0_err: FloatArray

    def select(self, rows: BoolArray | IntArray) -> Tracks:
        return Tracks(*(getattr(self, name)[rows] for name in Tracks.__dataclass_fields__))

    def lifetime_signs(self, jets: Jets) -> tuple[FloatArray, FloatArray]:
        """Return the signs of abs(d0) and abs(z0): + if the closest approach is in front along the jet axis, - if behind."""
        side = np.sin(delta_phi(jets.phi[self.jet], self.phi)) * self.d0
        ahead = (jets.eta[self.jet] - self.eta) * self.z0
        return np.where(side >= 0, 1.0, -1.0), np.where(ahead >= 0, 1.0, -1.0)


def measure(jet: IntArray, jets: Jets, truth: Particles, pt: FloatArray, rng: np.random.Generator) -> Tracks:
    """Return tracks of true particles (one row per track, with the measured pT), relative to the primary vertex."""
    first = np.unique(jets.event, return_inverse=True)[1][jet]
    primary = rng.standard_normal((first.max(initial=-1) + 1, 3)) * VERTEX_RESOLUTION
    vertex = np.stack([truth.x, truth.y, truth.z], axis=1) - primary[first]
    d0, z0, phi = closest_approach(vertex, truth.px, truth.py, truth.pz, truth.charge)

    sigma_d0, sigma_z0 = resolution(truth.pt, truth.eta)
    return Tracks(
        jet=jet,
        pt=pt,
        eta=truth.eta,
        phi=phi,
        charge=truth.charge,
        d0=d0 + sigma_d0 * _noise(len(d0), rng),
        z0=z0 + sigma_z0 * _noise(len(z0), rng),
        d0_err=sigma_d0 * np.exp(0.1 * rng.standard_normal(len(d0))),
        z0_err=sigma_z0 * np.exp(0.1 * rng.standard_normal(len(z0))),
    )


def closest_approach(
    vertex: FloatArray, px: FloatArray, py: FloatArray, pz: FloatArray, charge: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return d0, z0 and phi of helices through `vertex` (T, 3), at their closest approach to the z axis; lengths in mm."""
    pt = np.hypot(px, py)
    turn = charge * pt / BEND  # signed radius: particles of positive charge turn clockwise
    centre_x, centre_y = vertex[:, 0] + turn * py / pt, vertex[:, 1] - turn * px / pt
    distance = np.hypot(centre_x, centre_y)
    radius = np.abs(turn)
    x0, y0 = centre_x * (1 - radius / distance), centre_y * (1 - radius / distance)

    here_x, here_y = vertex[:, 0] - centre_x, vertex[:, 1] - centre_y
    there_x, there_y = x0 - centre_x, y0 - centre_y
    angle = np.arctan2(there_x * here_y - there_y * here_x, there_x * here_x + there_y * here_y)
    z0 = vertex[:, 2] + turn * angle * pz / pt
    phi = delta_phi(np.arctan2(py, px), angle)
    return -x0 * np.sin(phi) + y0 * np.cos(phi), z0, phi


def resolution(pt: FloatArray, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the resolutions of d0 and z0 in mm: intrinsic resolution and multiple scattering."""
    slope = np.cosh(eta)
    d0: FloatArray = np.hypot(0.010, 0.070 * np.sqrt(slope) / pt)
    z0: FloatArray = np.hypot(0.025, 0.090 * slope / pt)
    return d0, z0


def _noise(size: int, rng: np.random.Generator) -> FloatArray:
    scale = np.ones(size)
    for share, worse in TAILS:
        scale = np.where(rng.random(size) < share, worse, scale)
    return scale * rng.standard_normal(size)
