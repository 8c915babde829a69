"""Semileptonic ttH with H -> bb in the HDF5 layout of SPANet (arXiv 2106.03898): one row per event, with padded jets and one lepton.

Selection: exactly one prompt lepton (e, mu) with pT > 25 GeV, abs(eta) < 2.4 and no jet within 0.4; at least six jets with
pT > 25 GeV and abs(eta) < 2.5, of which at least `min_bjets` are b-tagged. One top decays to e or mu, the other to quarks.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.reconstruction import four_momenta as fm
from collidekit.simulation.columns import Columns, concatenate, take
from collidekit.simulation.decay_chains import DECAY_PRODUCT, TopPairs, momenta
from collidekit.simulation.generator import BoolArray, IntArray, Particles
from collidekit.simulation.spanet_jets import MIN_JETS, check_settings, jet_columns, jets_and_tags
from collidekit.simulation.ttbar_objects import Measured, MeasuredJets, measure_top_pairs
from collidekit.simulation.ttbar_process import (
    LEPTONS,
    QUARKS,
    generate_top_pairs,
    match_jets,
    select_jets,
    w_decays,
)

PROCESS = ("HiggsSM:gg2Httbar = on", "HiggsSM:qqbar2Httbar = on", "25:onMode = off", "25:onIfMatch = 5 -5")
HIGGS = 25
LEPTON_PT, LEPTON_ETA, ISOLATION = 25.0, 2.4, 0.4
SETTINGS = {"energy": 13.0, "max_jets": 12.0, "min_bjets": 0.0}
SLOTS = ("ht/b", "ht/q1", "ht/q2", "lt/b", "h/b1", "h/b2")


def tth_semileptonic(
    events: int, rng: np.random.Generator, energy: float = 13.0, max_jets: float = 12, min_bjets: float = 0
) -> Columns:
    """Return exactly `events` selected events; columns are named by their path in the file, jets are (N, max_jets).

    The `max_jets` jets with the highest pT are kept. If the jet of a target is not among them, the target is -1.
    """
    check_settings(max_jets, min_bjets)
    parts: list[Columns] = []
    missing = events
    for count, particles, pairs in _generate(energy, rng):
        measured = measure_top_pairs(particles, count, rng)
        jets = select_jets(measured.jets)
        rows = np.flatnonzero(_select_events(measured, jets, int(min_bjets)))[:missing]
        columns = {
            **jet_columns(jets, count, int(max_jets), "Jets"),
            **_lepton_columns(measured),
            **_target_columns(jets, particles, pairs, int(max_jets)),
        }
        parts.append({**take(columns, rows), "EVENT/weight": np.ones(len(rows), dtype=np.float32)})
        missing -= len(rows)
        if not missing:
            break
    return {**concatenate(parts), "event": np.arange(events, dtype=np.int64)}


def _generate(energy: float, rng: np.random.Generator) -> Iterator[tuple[int, Particles, TopPairs]]:
    """Yield alternately batches in which the top, and batches in which the antitop decays to a lepton."""
    top = generate_top_pairs(energy, w_decays(LEPTONS, QUARKS), rng, PROCESS)
    antitop = generate_top_pairs(energy, w_decays(QUARKS, LEPTONS), rng, PROCESS)
    return chain.from_iterable(zip(top, antitop, strict=True))


def _select_events(measured: Measured, jets: MeasuredJets, min_bjets: int) -> BoolArray:
    """Return which events pass the selection, (N,)."""
    events = len(measured.leptons)
    counts, tagged = jets_and_tags(jets, events)
    lepton = _lepton(measured)
    passing = (measured.lepton_pdg != 0).sum(axis=1) == 1
    passing &= (fm.pt(lepton) > LEPTON_PT) & (np.abs(fm.eta(lepton)) < LEPTON_ETA)
    momentum = np.stack([jets.energy, jets.px, jets.py, jets.pz], axis=-1)
    close = fm.delta_r(lepton[jets.event], momentum) < ISOLATION
    passing &= np.bincount(jets.event[close], minlength=events) == 0
    selected: BoolArray = passing & (counts >= MIN_JETS) & (tagged >= min_bjets)
    return selected


def _lepton(measured: Measured) -> np.ndarray:
    """Return the four-momentum (N, 4) of the lepton of events with exactly one lepton; the other one is 0."""
    return np.asarray(measured.leptons.sum(axis=1))


def _lepton_columns(measured: Measured) -> Columns:
    """Return the sequential input `Lepton` with one entry, and the missing transverse momentum."""
    lepton, pdg = _lepton(measured), measured.lepton_pdg.sum(axis=1)
    found = {
        "pt": fm.pt(lepton), "eta": fm.eta(lepton), "phi": fm.phi(lepton), "energy": lepton[:, 0],
        "charge": -np.sign(pdg), "muon": np.abs(pdg) == 13,
    }  # fmt: skip
    met = measured.met
    return {
        **{f"INPUTS/Lepton/{name}": values.astype(np.float32)[:, None] for name, values in found.items()},
        "INPUTS/Lepton/MASK": np.ones((len(pdg), 1), dtype=bool),
        "INPUTS/Met/met": np.hypot(met[:, 0], met[:, 1]).astype(np.float32),
        "INPUTS/Met/phi": np.arctan2(met[:, 1], met[:, 0]).astype(np.float32),
    }


def _target_columns(jets: MeasuredJets, particles: Particles, pairs: TopPairs, max_jets: int) -> Columns:
    """Return the jets of the quarks before gluon radiation: ht is the hadronic top with the down-type quark q1, lt the leptonic top, h the Higgs."""
    rows = np.arange(len(pairs.top))
    leptonic = np.abs(particles.pdg[pairs.products_born[:, 0, 0]]) > 6
    hadronic = np.where(leptonic, 1, 0)
    quarks = np.concatenate(
        [
            pairs.b[rows, hadronic][:, None],
            pairs.products_born[rows, hadronic],
            pairs.b[rows, 1 - hadronic][:, None],
            _higgs_products(particles, len(rows)),
        ],
        axis=1,
    )
    jet = match_jets(jets, momenta(particles, quarks), max_jets)
    return {f"TARGETS/{slot}": jet[:, k].astype(np.int64) for k, slot in enumerate(SLOTS)}


def _higgs_products(particles: Particles, events: int) -> IntArray:
    """Return the rows (N, 2) of the b and the anti-b quark of the Higgs boson."""
    status, of_higgs = np.abs(particles.status), particles.pdg[particles.mother] == HIGGS
    rows = np.flatnonzero((status == DECAY_PRODUCT) & of_higgs & (np.abs(particles.pdg) == 5))
    if len(rows) != 2 * events:
        raise CollidekitError(
            f"not every record of {events} Pythia events has exactly one H -> bb; use Pythia 8.311 to 8.317"
        )
    order = np.lexsort((-particles.pdg[rows], particles.event[rows]))
    return rows[order].reshape(events, 2)
