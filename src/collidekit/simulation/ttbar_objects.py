"""Measured objects of top pairs: prompt leptons, jets with b tags, missing transverse momentum.

Jets are anti-kT jets with R = 0.4 (arXiv 0802.1189) of all visible stable particles within abs(eta) < 4.9, except prompt
leptons and the photons near them. Resolutions are parametrised:

- jets: pT by 4 GeV / pT, 80 % / sqrt(pT / GeV) and 4 % in quadrature, log-normal with mean 1; eta and phi by 0.02;
- electrons: energy by 10 % / sqrt(E / GeV) and 1 %; muons: pT by 1 % and pT / 10 TeV; directions are exact;
- missing pT: it balances all visible particles, with the smearing of jets and leptons, and a Gaussian with a standard deviation of
  0.5 GeV sqrt(sum of soft pT / GeV) in x and in y.

There is no pile-up. All prompt leptons are identified, and there are no fake leptons.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from collidekit.simulation.b_tagging import tag
from collidekit.simulation.clustering import cluster
from collidekit.simulation.detector import CALORIMETER_ETA, Constituents, lognormal
from collidekit.simulation.generator import BoolArray, FloatArray, IntArray, Momenta, Particles
from collidekit.simulation.grouping import sums
from collidekit.simulation.jet_flavour import flavours
from collidekit.simulation.matching import delta_phi

RADIUS = 0.4
CLUSTERED_PT = 12.0  # GeV, minimum pT of jets before smearing
DRESSING_RADIUS = 0.1
JET_NOISE, JET_STOCHASTIC, JET_CONSTANT = 4.0, 0.8, 0.04
JET_ANGLE = 0.02
ELECTRON_STOCHASTIC, ELECTRON_CONSTANT = 0.10, 0.01
MUON_CONSTANT, MUON_SLOPE = 0.01, 1e-4
SOFT_RESOLUTION = 0.5


@dataclass(frozen=True, slots=True)
class MeasuredJets(Momenta):
    """Jets of a batch, sorted by event and descending pT, with one row per jet; momenta in GeV."""

    event: IntArray
    px: FloatArray
    py: FloatArray
    pz: FloatArray
    energy: FloatArray
    flavour: IntArray  # 5, 4 or 0
    b_tag: IntArray  # quantile from 1 to 5

    @property
    def mass(self) -> FloatArray:
        return np.sqrt(np.maximum(self.energy**2 - self.px**2 - self.py**2 - self.pz**2, 0.0))

    def select(self, rows: BoolArray | IntArray) -> Self:
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Measured:
    """Measured objects of a batch of N events."""

    leptons: (
        FloatArray  # (N, 2, 4) as (E, px, py, pz): the positive and the negative prompt lepton; 0 where there is none
    )
    lepton_pdg: IntArray  # (N, 2); 0 where there is none
    jets: MeasuredJets
    met: FloatArray  # (N, 2) missing px, py


def measure_top_pairs(particles: Particles, events: int, rng: np.random.Generator) -> Measured:
    """Measure the visible particles of the `events` events of a batch."""
    lepton = _prompt_leptons(particles, events)
    used = np.zeros(len(particles.pdg), dtype=bool)
    used[lepton[lepton >= 0]] = True
    true_leptons, photons = _dress(particles, lepton)
    used |= photons
    factors = _lepton_factors(true_leptons, np.where(lepton >= 0, np.abs(particles.pdg[lepton]), 0), rng)
    leptons = true_leptons * factors[..., None]

    seen = (
        (particles.status > 0)
        & ~np.isin(np.abs(particles.pdg), (12, 14, 16))
        & (np.abs(particles.eta) < CALORIMETER_ETA)
    )
    jets, jet_shift, clustered = _jets(particles, events, seen & ~used, rng)
    visible = particles.select(seen)
    sum_pt = sums(visible.event, visible.pt, events)
    soft = np.maximum(sum_pt - clustered - np.hypot(true_leptons[..., 1], true_leptons[..., 2]).sum(axis=1), 0.0)
    missing = -np.stack([sums(visible.event, visible.px, events), sums(visible.event, visible.py, events)], axis=1)
    met = missing - jet_shift - (leptons - true_leptons)[..., 1:3].sum(axis=1)
    met = met + SOFT_RESOLUTION * np.sqrt(soft)[:, None] * rng.standard_normal((events, 2))
    pdg = np.where(lepton >= 0, particles.pdg[lepton], 0)
    return Measured(leptons, pdg, jets, met)


def jet_resolution(pt: FloatArray) -> FloatArray:
    """Return the relative resolution of the pT of jets, pT in GeV."""
    return np.asarray(np.sqrt((JET_NOISE / pt) ** 2 + JET_STOCHASTIC**2 / pt + JET_CONSTANT**2))


def _prompt_leptons(particles: Particles, events: int) -> IntArray:
    """Return the rows (N, 2) of the positive and the negative stable e or mu from a W, directly or through a tau; -1 without one."""
    pdg, mother = np.abs(particles.pdg), particles.mother
    rows = np.flatnonzero((particles.status > 0) & np.isin(pdg, (11, 13)))
    ancestor = mother[rows]
    while np.any(passing := np.isin(pdg[ancestor], (11, 13, 15))):
        ancestor = np.where(passing, mother[ancestor], ancestor)
    rows = rows[pdg[ancestor] == 24]
    found = np.full((events, 2), -1)
    found[particles.event[rows], (particles.pdg[rows] > 0).astype(np.int64)] = rows
    return found


def _dress(particles: Particles, lepton: IntArray) -> tuple[FloatArray, BoolArray]:
    """Return four-momenta (N, 2, 4) of the leptons with the photons within 0.1, and a mask (P,) of these photons."""
    is_photon = (particles.status > 0) & (particles.pdg == 22)
    photon = np.flatnonzero(is_photon)
    eta, phi, event = particles.eta, particles.phi, particles.event
    columns = np.stack([particles.energy, particles.px, particles.py, particles.pz], axis=1)
    momenta = np.where(lepton[..., None] >= 0, columns[lepton], 0.0)
    taken = np.zeros(len(particles.pdg), dtype=bool)
    for slot in (0, 1):
        own = lepton[event[photon], slot]
        near = np.hypot(eta[photon] - eta[own], delta_phi(phi[photon], phi[own])) < DRESSING_RADIUS
        near &= (own >= 0) & ~taken[photon]
        taken[photon[near]] = True
        np.add.at(momenta, (event[photon[near]], slot), columns[photon[near]])
    return momenta, taken


def _lepton_factors(leptons: FloatArray, pdg: IntArray, rng: np.random.Generator) -> FloatArray:
    """Return the ratio of measured to true momentum, (N, 2)."""
    energy = np.maximum(leptons[..., 0], 1e-3)
    pt = np.hypot(leptons[..., 1], leptons[..., 2])
    electron = np.hypot(ELECTRON_STOCHASTIC / np.sqrt(energy), ELECTRON_CONSTANT)
    muon = np.hypot(MUON_CONSTANT, MUON_SLOPE * pt)
    return lognormal(np.where(pdg == 11, electron, muon).ravel(), rng).reshape(pdg.shape)


def _jets(
    particles: Particles, events: int, inputs: BoolArray, rng: np.random.Generator
) -> tuple[MeasuredJets, FloatArray, FloatArray]:
    """Return measured jets, the change (N, 2) of the sums of px and py by smearing, and the true pT (N,) in jets."""
    chosen = particles.select(inputs)
    rows = np.flatnonzero(inputs)
    constituents = Constituents(chosen.event, chosen.px, chosen.py, chosen.pz, chosen.energy, rows)
    true = cluster(constituents, events, RADIUS, CLUSTERED_PT)
    flavour = flavours(true, particles)

    scale = lognormal(jet_resolution(true.pt), rng)
    eta = true.eta + JET_ANGLE * rng.standard_normal(len(scale))
    phi = true.phi + JET_ANGLE * rng.standard_normal(len(scale))
    pt, mass = true.pt * scale, true.mass * scale
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    jets = MeasuredJets(true.event, px, py, pz, energy, flavour, tag(flavour, pt, rng))
    shift = np.stack([sums(true.event, px - true.px, events), sums(true.event, py - true.py, events)], axis=1)
    return jets.select(np.lexsort((-pt, true.event))), shift, sums(true.event, true.pt, events)
