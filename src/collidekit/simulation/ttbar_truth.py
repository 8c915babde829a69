"""Truth of dileptonic top pairs: momenta, jets of the b quarks, spin observables and spin weights."""

from __future__ import annotations

from typing import get_args

import numpy as np

from collidekit.reconstruction import four_momenta as fm
from collidekit.reconstruction.spin import decay_directions
from collidekit.reconstruction.spin_weights import Correlation, spin_weights
from collidekit.simulation.columns import Columns
from collidekit.simulation.decay_chains import TopPairs, momenta
from collidekit.simulation.generator import BoolArray, FloatArray, IntArray, Particles

NAMES = (("top", "wplus", "b", "lplus", "nu"), ("tbar", "wminus", "bbar", "lminus", "nubar"))
LEPTON_RADIUS = 0.1
"""Maximum distance of a measured lepton from the true lepton with the same charge."""


def truth_columns(
    particles: Particles, pairs: TopPairs, events: IntArray, b_jet: IntArray, leptons: FloatArray
) -> Columns:
    """Return the columns `truth_...` and `weight_spin_...` of the given events (K,) of a batch.

    `b_jet` (K, 2) are the jets of b and bbar, `leptons` (K, 2, 4) the measured leptons. Tops, Ws, leptons and neutrinos are the
    last copies: tops and Ws before their decay, leptons and neutrinos after photon radiation. b quarks are the first copies.
    """
    top, w, b = (momenta(particles, rows[events]) for rows in (pairs.top, pairs.w, pairs.b))
    lepton, neutrino = (momenta(particles, pairs.products[events, :, i]) for i in (0, 1))
    pdg = particles.pdg[pairs.products[events, :, 0]]
    found = fm.delta_r(lepton, leptons) < LEPTON_RADIUS
    columns: Columns = {}
    for i, (t, w_name, b_name, l_name, nu_name) in enumerate(NAMES):
        for name, p in zip((t, w_name, b_name, l_name), (top, w, b, lepton), strict=True):
            columns |= _polar(f"truth_{name}", p[:, i])
        columns |= {f"truth_{nu_name}_p{axis}": _narrow(neutrino[:, i, j]) for j, axis in enumerate("xyz", start=1)}
        columns[f"truth_{l_name}_pid"] = pdg[:, i].astype(np.int32)
        columns[f"truth_{b_name}_jet_index"] = b_jet[:, i].astype(np.int32)
        columns[f"truth_{l_name}_lep_index"] = np.where(found[:, i], i, -1).astype(np.int32)
    columns |= _polar("truth_ttbar", top.sum(axis=1))
    columns["truth_is_gg"] = pairs.is_gg[events].astype(np.int32)
    return columns | _spin_columns(top, lepton, pairs.is_gg[events])


def _spin_columns(top: FloatArray, lepton: FloatArray, is_gg: BoolArray) -> Columns:
    directions = decay_directions(top[:, 0], top[:, 1], lepton[:, 0], lepton[:, 1])
    weights = {f"weight_spin_{kind}": spin_weights(directions, is_gg, kind) for kind in get_args(Correlation)}
    found = {"truth_c_hel": directions.c_hel, "truth_c_han": directions.c_han, **weights}
    return {name: _narrow(values) for name, values in found.items()}


def _polar(name: str, p: FloatArray) -> Columns:
    parts = {"pt": fm.pt(p), "eta": fm.eta(p), "phi": fm.phi(p), "mass": fm.mass(p)}
    return {f"{name}_{part}": _narrow(values) for part, values in parts.items()}


def _narrow(values: FloatArray) -> np.ndarray:
    return values.astype(np.float32)
