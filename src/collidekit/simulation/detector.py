"""A small parametrised detector with tracks, calorimeter towers and energy flow, similar to Delphes (arXiv 1307.6346).

Tracks are found with an efficiency and smeared in pT. Each tower of the calorimeter has an electromagnetic and a hadronic layer, which sum
and smear all energy that enters them. If a layer has significantly more energy than its tracks, the excess becomes a neutral constituent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collidekit.simulation.generator import BoolArray, FloatArray, IntArray, Particles
from collidekit.simulation.grouping import sums

TRACKER_ETA = 2.5
CALORIMETER_ETA = 4.9


@dataclass(frozen=True, slots=True)
class Detector:
    """Parameters of a detector; the defaults are close to the ATLAS card of Delphes.

    Relative resolutions are given for abs(eta) below 0.5, below 1.5 and above.
    """

    track_pt_min: float = 0.1  # GeV
    track_pt_constant: tuple[float, float, float] = (0.06, 0.10, 0.25)
    track_pt_slope: tuple[float, float, float] = (1.3e-3, 1.7e-3, 3.1e-3)  # 1/GeV
    track_radius_max: float = 1000.0  # mm; a particle produced further out leaves no track
    tower_eta: float = 0.1
    tower_phi: float = np.pi / 36
    tower_em_min: float = 0.5  # GeV
    tower_had_min: float = 1.0  # GeV


@dataclass(frozen=True, slots=True)
class Constituents:
    """Massless energy-flow objects, sorted by event; momenta in GeV."""

    event: IntArray
    px: FloatArray
    py: FloatArray
    pz: FloatArray
    energy: FloatArray
    source: IntArray  # row of the particle that left the track, -1 for a neutral object


def observe(visible: Particles, detector: Detector, rng: np.random.Generator) -> Constituents:
    """Return the measured constituents of the visible final particles."""
    seen = visible.select(np.abs(visible.eta) < CALORIMETER_ETA)
    rows = np.flatnonzero(np.abs(visible.eta) < CALORIMETER_ETA)
    found = _track_found(seen, detector, rng)
    scale = _track_pt_scale(seen, detector, rng)
    px, py, pz = seen.px * scale, seen.py * scale, seen.pz * scale
    momentum = np.sqrt(px**2 + py**2 + pz**2)

    tower_event, eta, phi, energy = _neutral_towers(seen, np.where(found, momentum, 0.0), detector, rng)
    pt = energy / np.cosh(eta)
    event = np.concatenate([seen.event[found], tower_event])
    order = np.argsort(event, kind="stable")
    return Constituents(
        event=event[order],
        px=np.concatenate([px[found], pt * np.cos(phi)])[order],
        py=np.concatenate([py[found], pt * np.sin(phi)])[order],
        pz=np.concatenate([pz[found], pt * np.sinh(eta)])[order],
        energy=np.concatenate([momentum[found], energy])[order],
        source=np.concatenate([rows[found], np.full(len(energy), -1)])[order],
    )


def _track_found(seen: Particles, detector: Detector, rng: np.random.Generator) -> BoolArray:
    """Return the track efficiency: 0.95 (0.85 for abs(eta) > 1.5), and below 1 GeV 0.70 (0.60)."""
    efficiency = np.where(seen.pt > 1.0, 0.95, 0.70) - np.where(np.abs(seen.eta) > 1.5, 0.10, 0.0)
    inside = (np.abs(seen.eta) < TRACKER_ETA) & (np.hypot(seen.x, seen.y) < detector.track_radius_max)
    tracked = (seen.charge != 0) & inside & (seen.pt > detector.track_pt_min)
    found: BoolArray = tracked & (rng.random(len(seen.pdg)) < efficiency)
    return found


def _track_pt_scale(seen: Particles, detector: Detector, rng: np.random.Generator) -> FloatArray:
    """Return the ratio of measured to true pT."""
    region = np.digitize(np.abs(seen.eta), [0.5, 1.5])
    constant = np.array(detector.track_pt_constant)[region]
    slope = np.array(detector.track_pt_slope)[region]
    return lognormal(np.hypot(constant, slope * seen.pt), rng)


def lognormal(relative: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return log-normal factors with mean 1 and the given relative width."""
    width = np.sqrt(np.log1p(relative**2))
    factors: FloatArray = np.exp(width * rng.standard_normal(len(relative)) - width**2 / 2)
    return factors


def _neutral_towers(
    seen: Particles, track_momentum: FloatArray, detector: Detector, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Return event, eta, phi and energy of the neutral excesses, at uniformly random positions in their towers."""
    kind = np.abs(seen.pdg)
    em = np.select([np.isin(kind, (11, 22)), kind == 13, np.isin(kind, (130, 310, 3122))], [1.0, 0.0, 0.3], 0.0)
    had = np.where(kind == 13, 0.0, 1.0 - em)

    eta_bin = np.floor((seen.eta + CALORIMETER_ETA) / detector.tower_eta).astype(np.int64)
    phi_bin = np.floor((seen.phi + np.pi) / detector.tower_phi).astype(np.int64)
    eta_bins = int(np.ceil(2 * CALORIMETER_ETA / detector.tower_eta)) + 1
    phi_bins = int(np.ceil(2 * np.pi / detector.tower_phi)) + 1
    tower, index = np.unique((seen.event * eta_bins + eta_bin) * phi_bins + phi_bin, return_inverse=True)

    places, energies = [], []
    for share, layer_min, resolution in (
        (em, detector.tower_em_min, _em_resolution),
        (had, detector.tower_had_min, _had_resolution),
    ):
        true = sums(index, seen.energy * share, len(tower))
        charged = sums(index, track_momentum * share, len(tower))
        measured = true * lognormal(resolution(true) / np.maximum(true, 1e-3), rng)
        neutral = measured - charged
        keep = (neutral > layer_min) & (neutral > resolution(measured))
        places.append(tower[keep])
        energies.append(neutral[keep])

    place = np.concatenate(places)
    eta = (place // phi_bins % eta_bins + rng.random(len(place))) * detector.tower_eta - CALORIMETER_ETA
    phi = (place % phi_bins + rng.random(len(place))) * detector.tower_phi - np.pi
    return place // (phi_bins * eta_bins), eta, phi, np.concatenate(energies)


def _em_resolution(energy: FloatArray) -> FloatArray:
    return np.sqrt((0.0017 * energy) ** 2 + 0.101**2 * energy)


def _had_resolution(energy: FloatArray) -> FloatArray:
    return np.sqrt((0.0302 * energy) ** 2 + 0.5205**2 * energy)
