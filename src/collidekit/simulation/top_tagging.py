"""Hadronic tops and QCD jets, similar to the Top Quark Tagging Reference Dataset (Zenodo 2603256, arXiv 1902.09914)."""

from __future__ import annotations

from collections.abc import Iterator

import awkward as ak
import numpy as np

from collidekit.simulation.clustering import Jets, cluster, pick
from collidekit.simulation.columns import Columns, collect, concatenate, take
from collidekit.simulation.detector import Constituents, Detector, observe
from collidekit.simulation.generator import BoolArray, Particles, generate
from collidekit.simulation.matching import count_near

RADIUS = 0.8
PT_WINDOW = (550.0, 650.0)  # GeV
ETA_MAX = 2.0
MAX_CONSTITUENTS = 200
COMMON = (
    "Beams:eCM = 14000",
    "PartonLevel:MPI = off",
    "PhaseSpace:pTHatMin = 475",
    "PhaseSpace:pTHatMax = 850",
)
QCD = (*COMMON, "HardQCD:all = on")
TOP = (*COMMON, "Top:gg2ttbar = on", "Top:qqbar2ttbar = on", "24:onMode = off", "24:onIfAny = 1 2 3 4 5")


def top_tagging(jets: int, rng: np.random.Generator) -> Columns:
    """Return exactly `jets` shuffled jets, half of them tops; for an odd number QCD has one more."""
    tops = collect(_batches(1, TOP, rng), "label", {1: jets // 2})
    qcd = collect(_batches(0, QCD, rng), "label", {0: jets - jets // 2})
    mixed = take(concatenate([part for part in (tops, qcd) if part]), rng.permutation(jets))
    return {**mixed, "event": np.arange(jets, dtype=np.int64)}


def _batches(label: int, settings: tuple[str, ...], rng: np.random.Generator) -> Iterator[Columns]:
    for events, particles in generate(settings, seed=int(rng.integers(2**31))):
        constituents = observe(particles.visible(), Detector(), rng)
        jets = cluster(constituents, events, RADIUS, pt_min=PT_WINDOW[0] / 2, limit=MAX_CONSTITUENTS).leading()
        jets = jets.select((jets.pt > PT_WINDOW[0]) & (jets.pt < PT_WINDOW[1]) & (np.abs(jets.eta) < ETA_MAX))
        if label:
            jets = jets.select(holds_whole_top(jets, particles))
        yield _columns(jets, constituents, label)


def holds_whole_top(jets: Jets, particles: Particles) -> BoolArray:
    """Return whether a parton-level top and its three decay quarks are within 0.8 of the jet axis."""
    pdg, parent = particles.pdg, particles.pdg[particles.mother]
    quarks = (particles.status == -23) & (np.abs(pdg) <= 5) & np.isin(np.abs(parent), (6, 24))
    decayed = (particles.status == -62) & (np.abs(pdg) == 6)
    inside = np.zeros(len(jets.event), dtype=bool)
    for sign in (1, -1):
        own_quarks = particles.select(quarks & (np.sign(parent) == sign))
        own_top = particles.select(decayed & (np.sign(pdg) == sign))
        inside |= (count_near(jets, own_quarks, RADIUS) == 3) & (count_near(jets, own_top, RADIUS) == 1)
    return inside


def _columns(jets: Jets, constituents: Constituents, label: int) -> Columns:
    part = {name: pick(getattr(constituents, name), jets.members) for name in ("px", "py", "pz", "energy")}
    return {
        "part": ak.zip({name: ak.values_astype(values, np.float32) for name, values in part.items()}),
        "jet_pt": jets.pt.astype(np.float32),
        "jet_eta": jets.eta.astype(np.float32),
        "jet_phi": jets.phi.astype(np.float32),
        "jet_mass": jets.mass.astype(np.float32),
        "label": np.full(len(jets.event), label, dtype=np.int32),
        "weight": np.ones(len(jets.event), dtype=np.float32),
    }
