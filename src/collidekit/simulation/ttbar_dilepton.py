"""Dileptonic top pairs: one row per event, with measured leptons, jets and missing pT, and the truth.

Selection: exactly two prompt leptons (e, mu) of opposite charge with pT > 25 and 20 GeV, abs(eta) < 2.4, m(ll) > 20 GeV and
no jet within 0.4; at least two jets with pT > 25 GeV and abs(eta) < 2.5. There is no cut on b tags, missing pT or the Z mass.
"""

from __future__ import annotations

import awkward as ak
import numpy as np

from collidekit.errors import CollidekitError
from collidekit.reconstruction import four_momenta as fm
from collidekit.simulation.b_tagging import TAGGED
from collidekit.simulation.columns import Columns, concatenate, take
from collidekit.simulation.decay_chains import TopPairs, momenta
from collidekit.simulation.generator import BoolArray, FloatArray, IntArray, Particles
from collidekit.simulation.ttbar_objects import Measured, MeasuredJets, measure_top_pairs
from collidekit.simulation.ttbar_process import LEPTONS, generate_top_pairs, match_jets, select_jets, w_decays
from collidekit.simulation.ttbar_truth import truth_columns

LEADING_PT, SECOND_PT, LEPTON_ETA = 25.0, 20.0, 2.4
DILEPTON_MASS = 20.0
ISOLATION = 0.4
SETTINGS = {"energy": 13.0, "taus": 0.0}


def ttbar_dilepton(events: int, rng: np.random.Generator, energy: float = 13.0, taus: float = 0.0) -> Columns:
    """Return exactly `events` selected events at `energy` TeV; with `taus` = 1 the Ws also decay to tau."""
    if taus not in (0, 1):
        raise CollidekitError(f"taus={taus:g}: must be 0 (W to e and mu) or 1 (also to tau)")
    parts: list[Columns] = []
    missing = events
    for count, particles, pairs in generate_top_pairs(energy, w_decays(LEPTONS + " 15" if taus else LEPTONS), rng):
        part = _selected_columns(count, particles, pairs, rng)
        kept = min(len(part["weight"]), missing)
        parts.append(take(part, np.arange(kept)))
        missing -= kept
        if not missing:
            break
    return {**concatenate(parts), "event": np.arange(events, dtype=np.int64)}


def _selected_columns(events: int, particles: Particles, pairs: TopPairs, rng: np.random.Generator) -> Columns:
    measured = measure_top_pairs(particles, events, rng)
    jets = select_jets(measured.jets)
    kept = select_events(measured, jets)
    b_jet = match_jets(jets, momenta(particles, pairs.b))
    return {
        **_lepton_columns(measured.leptons[kept], measured.lepton_pdg[kept]),
        **_jet_columns(jets, measured.leptons, kept),
        **_event_columns(jets, measured, kept),
        **truth_columns(particles, pairs, np.flatnonzero(kept), b_jet[kept], measured.leptons[kept]),
        "weight": np.ones(int(kept.sum()), dtype=np.float32),
    }


def select_events(measured: Measured, jets: MeasuredJets) -> BoolArray:
    """Return which events pass the selection, (N,); `jets` are the jets above the thresholds."""
    leptons, events = measured.leptons, len(measured.leptons)
    pt, eta = fm.pt(leptons), fm.eta(leptons)
    passing = np.all((measured.lepton_pdg != 0) & (pt > SECOND_PT) & (np.abs(eta) < LEPTON_ETA), axis=1)
    passing &= np.max(pt, axis=1) > LEADING_PT
    passing &= fm.mass(leptons.sum(axis=1)) > DILEPTON_MASS
    own = leptons[jets.event]  # (J, 2, 4)
    close = fm.delta_r(own, _jet_momenta(jets)[:, None, :]) < ISOLATION
    passing &= np.bincount(jets.event[np.any(close, axis=1)], minlength=events) == 0
    selected: BoolArray = passing & (np.bincount(jets.event, minlength=events) >= 2)
    return selected


def _lepton_columns(leptons: FloatArray, pdg: IntArray) -> Columns:
    record = {
        "pt": _narrow(fm.pt(leptons)), "eta": _narrow(fm.eta(leptons)), "phi": _narrow(fm.phi(leptons)), "e": _narrow(leptons[..., 0]),
        "charge": -np.sign(pdg).astype(np.int32), "pid": pdg.astype(np.int32),
    }  # fmt: skip
    return {
        "lep": ak.unflatten(ak.zip({name: values.ravel() for name, values in record.items()}), np.full(len(pdg), 2))
    }


def _jet_columns(jets: MeasuredJets, leptons: FloatArray, kept: BoolArray) -> Columns:
    """Return jets with their mass and distance with each lepton; the collection has no name, so its fields are complete names."""
    counts = np.bincount(jets.event, minlength=len(kept))[kept]
    jets = jets.select(kept[jets.event])
    momentum, own = _jet_momenta(jets), leptons[jets.event]
    record = {
        "jet_pt": _narrow(jets.pt), "jet_eta": _narrow(jets.eta), "jet_phi": _narrow(jets.phi), "jet_e": _narrow(jets.energy),
        "jet_b_tag": jets.b_tag.astype(np.int32), "jet_truth_flavour": jets.flavour.astype(np.int32),
        **{f"m_l{i + 1}j": _narrow(fm.mass(own[:, i] + momentum)) for i in (0, 1)},
        **{f"dR_l{i + 1}j": _narrow(fm.delta_r(own[:, i], momentum)) for i in (0, 1)},
    }  # fmt: skip
    return {"": ak.unflatten(ak.zip(record), counts)}


def _event_columns(jets: MeasuredJets, measured: Measured, kept: BoolArray) -> Columns:
    tagged = np.bincount(jets.event[jets.b_tag >= TAGGED], minlength=len(kept))[kept]
    met, leptons = measured.met[kept], measured.leptons[kept]
    return {
        "N_bjets": tagged.astype(np.int32),
        "met_met": _narrow(np.hypot(met[:, 0], met[:, 1])),
        "met_phi": _narrow(np.arctan2(met[:, 1], met[:, 0])),
        "dR_l1l2": _narrow(fm.delta_r(leptons[:, 0], leptons[:, 1])),
    }


def _jet_momenta(jets: MeasuredJets) -> FloatArray:
    return np.stack([jets.energy, jets.px, jets.py, jets.pz], axis=-1)


def _narrow(values: FloatArray) -> np.ndarray:
    return values.astype(np.float32)
