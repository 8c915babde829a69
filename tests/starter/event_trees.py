"""The first events of the bundled top pairs in the layouts of Delphes and TopCPToolkit."""

from functools import cache
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

SAMPLE = Path(__file__).parents[2] / "samples" / "ttbar_dilepton" / "train.root"
VECTORS = Path(__file__).parents[1] / "readers" / "files" / "top_pairs.root"
"""The same events with TLorentzVectors (make_top_pairs.py)."""
EVENTS = 1400


@cache
def events() -> ak.Array:
    return uproot.open(f"{SAMPLE}:tree").arrays(entry_stop=EVENTS)


def write(path: Path, tree: str, columns: dict[str, Any]) -> Path:
    """Write numbers and lists of variable length."""
    arrays = {name: ak.Array(values) for name, values in columns.items()}
    with uproot.recreate(path) as file:
        kinds = {name: ak.type(values).content for name, values in arrays.items()}
        made = file.mktree(tree, kinds, counter_name=lambda name: f"{name.replace('.', '_')}_size")
        made.extend(arrays)
    return path


def write_delphes(path: Path) -> Path:
    """Write a Delphes tree: separate electrons and muons, jets with a b-tag flag, event objects as lists of length 1, a record of particles."""
    found = events()
    muon = abs(found.lep_pid) == 13
    leptons = {"PT": found.lep_pt, "Eta": found.lep_eta, "Phi": found.lep_phi, "Charge": found.lep_charge}
    momentum = ak.values_astype(found.jet_pt, np.float64) * np.cosh(ak.values_astype(found.jet_eta, np.float64))
    mass = np.sqrt(np.maximum(ak.values_astype(found.jet_e, np.float64) ** 2 - momentum**2, 0))
    columns = {f"Electron.{part}": values[~muon] for part, values in leptons.items()}
    columns |= {f"Muon.{part}": values[muon] for part, values in leptons.items()}
    columns |= {
        "Jet.PT": found.jet_pt, "Jet.Eta": found.jet_eta, "Jet.Phi": found.jet_phi,
        "Jet.Mass": ak.values_astype(mass, np.float32), "Jet.BTag": ak.values_astype(found.jet_b_tag >= 3, np.uint32),
        "Jet.Flavor": ak.values_astype(found.jet_truth_flavour, np.uint32),
        "MissingET.MET": _ones(found.met_met), "MissingET.Eta": _ones(0 * found.met_met),
        "MissingET.Phi": _ones(found.met_phi), "Event.Number": _ones(found.event), "Event.Weight": _ones(found.weight),
        **_record(found),
    }  # fmt: skip
    return write(path, "Delphes", columns)


def _ones(values: Any) -> ak.Array:
    return ak.from_regular(np.asarray(values)[:, None])


def _record(found: ak.Array) -> dict[str, ak.Array]:
    """Return tops, W bosons, b quarks, leptons and neutrinos with the index of their mother."""
    plus, minus = (np.asarray(found[f"truth_l{sign}_pid"]) for sign in ("plus", "minus"))
    listed = {
        "top": (6, -1), "tbar": (-6, -1), "wplus": (24, 0), "b": (5, 0), "wminus": (-24, 1), "bbar": (-5, 1),
        "lplus": (plus, 2), "nu": (1 - plus, 2), "lminus": (minus, 4), "nubar": (-1 - minus, 4),
    }  # fmt: skip
    parts: dict[str, list[Any]] = {name: [] for name in ("PID", "M1", "PT", "Eta", "Phi", "Mass")}
    for name, (identity, mother) in listed.items():
        values = _polar(found, name)
        for part, value in zip(parts, (identity, mother, *values), strict=True):
            parts[part].append(np.broadcast_to(np.asarray(value), (len(found),)))
    kinds = {"PID": np.int32, "M1": np.int32}
    return {
        f"Particle.{part}": ak.from_regular(np.stack(values, axis=1).astype(kinds.get(part, np.float32)))
        for part, values in parts.items()
    }


def _polar(found: ak.Array, name: str) -> list[Any]:
    if name in ("nu", "nubar"):
        x, y, z = (np.asarray(found[f"truth_{name}_{part}"], np.float64) for part in ("px", "py", "pz"))
        return [np.hypot(x, y), np.arcsinh(z / np.hypot(x, y)), np.arctan2(y, x), 0 * x]
    return [found[f"truth_{name}_{part}"] for part in ("pt", "eta", "phi", "mass")]


def write_topcptoolkit(path: Path) -> Path:
    """Write a TopCPToolkit tree in MeV: separate electrons and muons, partons before and after radiation, and six positions of jets."""
    found = events()
    muon = abs(found.lep_pid) == 13
    columns: dict[str, Any] = {}
    for name, mask in (("el", ~muon), ("mu", muon)):
        columns |= {f"{name}_pt_NOSYS": 1000 * found.lep_pt[mask], f"{name}_e_NOSYS": 1000 * found.lep_e[mask]}
        columns |= {f"{name}_{part}": found[f"lep_{part}"][mask] for part in ("eta", "phi", "charge")}
    columns |= {
        "jet_pt_NOSYS": 1000 * found.jet_pt, "jet_e_NOSYS": 1000 * found.jet_e, "jet_eta": found.jet_eta,
        "jet_phi": found.jet_phi, "jet_GN2v01_Continuous_quantile": found.jet_b_tag,
        "met_met_NOSYS": 1000 * found.met_met, "met_phi_NOSYS": found.met_phi,
        "eventNumber": ak.values_astype(found.event, np.uint64), "weight_mc_NOSYS": found.weight,
        "weight_pileup_NOSYS": found.weight,
    }  # fmt: skip
    places = np.full((len(found), 6), -1, dtype=np.int32)
    places[:, 0], places[:, 3] = found.truth_b_jet_index, found.truth_bbar_jet_index
    columns["event_jet_truth_idx"] = ak.from_regular(places)
    nuflows = [np.asarray(found[f"truth_{name}_{part}"]) + 7 for name in ("nu", "nubar") for part in ("px", "py", "pz")]
    columns["nuflows_nu_out_NOSYS"] = ak.from_regular(np.stack(nuflows, axis=1).astype(np.float32))
    partons = {
        "t_afterFSR": "top", "tbar_afterFSR": "tbar", "ttbar_afterFSR": "ttbar", "W_afterFSR_from_t": "wplus",
        "W_afterFSR_from_tbar": "wminus", "Wdecay2_afterFSR_from_t": "lplus", "Wdecay1_afterFSR_from_tbar": "lminus",
        "Wdecay1_afterFSR_from_t": "nu", "Wdecay2_afterFSR_from_tbar": "nubar", "t_beforeFSR": "tbar",
    }  # fmt: skip
    for name, own in partons.items():
        pt, eta, phi, mass = (np.asarray(part, np.float32) for part in _polar(found, own))
        values = {"pt": 1000 * pt, "eta": eta, "phi": phi, "m": 1000 * mass}
        columns |= {f"Ttbar_MC_{name}_{part}": value for part, value in values.items()}
    return write(path, "reco", columns)
