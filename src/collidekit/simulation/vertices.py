"""Secondary vertices: an adaptive fit (Fruehwirth, Waltenberger, Vanlaer, CMS NOTE 2007/008) of displaced tracks.

It uses no truth. Tracks are straight lines from their closest approach. All jets are fitted at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collidekit.simulation.clustering import Jets
from collidekit.simulation.generator import BoolArray, FloatArray, IntArray, pseudorapidity
from collidekit.simulation.grouping import sums
from collidekit.simulation.matching import delta_phi
from collidekit.simulation.tracks import Tracks

SEED_SIGNIFICANCE = 2.0  # d0 significance
SEED_PT = 0.8  # GeV
TEMPERATURES = (256.0, 64.0, 16.0, 4.0, 1.0, 1.0)
CHI2_CUT = 9.0
VERTICES_PER_JET = 2
PION_MASS, KAON_MASS = 0.13957, 0.49761  # GeV


@dataclass(frozen=True, slots=True)
class Vertices:
    """Accepted secondary vertices as flat arrays, in the order of their jets; lengths in mm, masses in GeV."""

    jet: IntArray
    mass: FloatArray
    pt: FloatArray
    energy_fraction: FloatArray  # fraction of the energy of all tracks of the jet
    ntracks: IntArray
    lxy: FloatArray
    lxy_err: FloatArray
    deta: FloatArray  # flight direction relative to the jet axis
    dphi: FloatArray

    def select(self, rows: BoolArray | IntArray) -> Vertices:
        return Vertices(*(getattr(self, name)[rows] for name in Vertices.__dataclass_fields__))


def find_vertices(tracks: Tracks, jets: Jets) -> Vertices:
    """Return up to two vertices per jet; the second one uses the remaining tracks."""
    energy = sums(tracks.jet, tracks.pt * np.cosh(tracks.eta), len(jets.event))
    left = tracks.select((np.abs(tracks.d0) > SEED_SIGNIFICANCE * tracks.d0_err) & (tracks.pt > SEED_PT))
    found = []
    for _ in range(VERTICES_PER_JET):
        left = left.select(np.bincount(left.jet, minlength=len(jets.event))[left.jet] >= 2)
        position, covariance, weight = fit(left, len(jets.event))
        found.append(_accept(left.select(weight > 0.5), jets, position, covariance, energy))
        left = left.select(weight <= 0.5)
    both = Vertices(*(np.concatenate([getattr(v, n) for v in found]) for n in Vertices.__dataclass_fields__))
    return both.select(np.argsort(both.jet, kind="stable"))


def fit(tracks: Tracks, jets: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return positions (J, 3) and covariances (J, 3, 3) of one vertex per jet, and the weight (T,) of each track in it."""
    sin, cos, slope = np.sin(tracks.phi), np.cos(tracks.phi), np.sinh(tracks.eta)
    length = np.cosh(tracks.eta)
    zero = np.zeros(len(sin))
    across = np.stack([-sin, cos, zero], axis=1)  # (T, 3)
    along = np.stack([-slope * cos, -slope * sin, np.ones(len(sin))], axis=1) / length[:, None]
    axes = np.stack([across, along], axis=1)  # (T, 2, 3)
    offset = np.stack([tracks.d0, tracks.z0 / length], axis=1)  # (T, 2)
    sigma2 = np.stack([tracks.d0_err, tracks.z0_err / length], axis=1) ** 2

    weight = np.ones(len(sin))
    position, covariance = _solve(tracks.jet, jets, axes, offset, weight[:, None] / (sigma2 + 0.1**2))
    for temperature in TEMPERATURES:
        residual = offset - np.einsum("tai,ti->ta", axes, position[tracks.jet])
        chi2 = np.sum(residual**2 / sigma2, axis=1)
        weight = 1 / (1 + np.exp(np.clip((chi2 - CHI2_CUT) / (2 * temperature), -50, 50)))
        position, covariance = _solve(tracks.jet, jets, axes, offset, weight[:, None] / sigma2)
    return position, covariance, weight


def _solve(
    jet: IntArray, jets: int, axes: FloatArray, offset: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    matrix = np.tile(1e-6 * np.eye(3), (jets, 1, 1))
    vector = np.zeros((jets, 3))
    np.add.at(matrix, jet, np.einsum("tai,taj,ta->tij", axes, axes, weight))
    np.add.at(vector, jet, np.einsum("tai,ta,ta->ti", axes, offset, weight))
    covariance = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    return np.einsum("jik,jk->ji", covariance, vector), covariance


def _accept(
    tracks: Tracks, jets: Jets, position: FloatArray, covariance: FloatArray, track_energy: FloatArray
) -> Vertices:
    size = len(jets.event)

    def total(values: FloatArray) -> FloatArray:
        return sums(tracks.jet, values, size)

    px, py = total(tracks.pt * np.cos(tracks.phi)), total(tracks.pt * np.sin(tracks.phi))
    pz = total(tracks.pt * np.sinh(tracks.eta))
    momentum = tracks.pt * np.cosh(tracks.eta)
    energy = total(np.hypot(momentum, PION_MASS))
    mass = np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0.0))

    x, y, z = position.T
    lxy = np.hypot(x, y)
    flight = np.stack([x, y], axis=1) / np.maximum(lxy, 1e-9)[:, None]
    lxy_err = np.sqrt(np.einsum("ji,jik,jk->j", flight, covariance[:, :2, :2], flight))
    deta = pseudorapidity(x, y, z) - jets.eta
    dphi = delta_phi(np.arctan2(y, x), jets.phi)

    ntracks = np.bincount(tracks.jet, minlength=size)
    kaon = (ntracks == 2) & (total(tracks.charge.astype(np.float64)) == 0) & (np.abs(mass - KAON_MASS) < 0.015)
    good = (ntracks >= 2) & (lxy > 3 * lxy_err) & (lxy < 50.0) & (np.hypot(deta, dphi) < 0.4) & (mass < 6.5) & ~kaon
    return Vertices(
        jet=np.arange(size),
        mass=mass,
        pt=np.hypot(px, py),
        energy_fraction=total(momentum) / np.maximum(track_energy, 1e-9),
        ntracks=ntracks,
        lxy=lxy,
        lxy_err=lxy_err,
        deta=deta,
        dphi=dphi,
    ).select(good)
