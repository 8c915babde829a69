"""Small files in the layouts of several experiments, with common problems: MeV, sentinels, truth under unusual names, weights."""

from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import uproot

ROWS = 1200


def _lists(values: Any, counts: Any) -> ak.Array:
    return ak.unflatten(values if isinstance(values, ak.Array) else np.asarray(values), counts)


def write_tree(
    path: Path, columns: dict[str, Any], tree: str = "tree", more: dict[str, dict[str, Any]] | None = None
) -> Path:
    """Write a TTree, and other trees to the same file."""
    with uproot.recreate(path) as file:
        for name, content in {tree: columns, **(more or {})}.items():
            kinds = {key: _kind(values) for key, values in content.items()}
            file.mktree(name, kinds).extend(content)
    return path


def _kind(values: Any) -> str:
    if isinstance(values, ak.Array):
        return f"var * {ak.type(ak.flatten(values)).content}"
    return str(np.asarray(values).dtype)


def lhcb_like(path: Path, rows: int = ROWS) -> Path:
    """Candidates of a B decay in MeV: true identities, background categories, sWeights, a second tree of luminosity."""
    random = np.random.default_rng(1)
    signal = random.random(rows) < 0.4
    category = np.where(signal, 0, random.choice([10, 30, 40, 60], rows)).astype(np.int32)
    columns = {
        "B_M": random.normal(np.where(signal, 5279, 5400), np.where(signal, 20, 200)),
        "B_PT": random.exponential(4000, rows) + 1500 + 800 * signal,
        "B_ETA": random.normal(3.2, 0.5, rows),
        "B_PHI": random.uniform(-np.pi, np.pi, rows),
        "B_IPCHI2_OWNPV": random.exponential(np.where(signal, 3, 9)),
        "B_FDCHI2_OWNPV": random.exponential(np.where(signal, 900, 300)),
        "B_DIRA_OWNPV": 1 - random.exponential(np.where(signal, 1e-5, 1e-4)),
        "B_BKGCAT": category,
        "B_TRUEID": np.where(signal, 511, 0).astype(np.int32),
        "B_TRUEP_E": np.where(signal, random.exponential(60000, rows), -1.0),
        "B_TRUETAU": np.where(signal, random.exponential(0.0015, rows), -1.0),
        "B_TRUEENDVERTEX_Z": np.where(signal, random.normal(0, 50, rows), -999.0),
        "mup_PT": random.exponential(1500, rows) + 300, "mup_PX": random.normal(0, 1000, rows),
        "mup_PY": random.normal(0, 1000, rows), "mup_PZ": random.exponential(20000, rows), "mup_PE": random.exponential(25000, rows),
        "mup_IPCHI2_OWNPV": random.exponential(30, rows), "mup_isMuon": (random.random(rows) < 0.9).astype(np.int8),
        "mup_MC12TuneV2_ProbNNmu": np.clip(random.normal(0.5 + 0.2 * signal, 0.2), 0, 1),
        "mup_TRUEID": np.where(signal, -13, 211).astype(np.int32),
        "mup_MC_MOTHER_ID": np.where(signal, 443, 0).astype(np.int32),
        "nTracks": random.integers(20, 400, rows).astype(np.int32),
        "Polarity": random.choice([-1, 1], rows).astype(np.int16),
        "runNumber": np.full(rows, 1234, np.uint32), "eventNumber": np.arange(rows, dtype=np.uint64),
        "nsig_sw": random.normal(signal, 0.4), "nbkg_sw": random.normal(~signal, 0.4),
        "L0MuonDecision": (random.random(rows) < 0.5).astype(np.int8),
    }  # fmt: skip
    return write_tree(path, columns, "DecayTree", {"LumiTuple": {"IntegratedLuminosity": np.array([1.1, 0.9])}})


def belle_like(path: Path, rows: int = ROWS) -> Path:
    """Candidates of Belle II: ``isSignal`` as a float, generator quantities with a small ``mc``, NaN where nothing matches."""
    random = np.random.default_rng(2)
    signal = random.random(rows) < 0.5
    nothing = np.where(signal, 1.0, np.nan)
    columns = {
        "__experiment__": np.full(rows, 12, np.int32), "__run__": np.full(rows, 3, np.int32), "__event__": np.arange(rows, dtype=np.uint32),
        "__candidate__": np.zeros(rows, np.int32), "__ncandidates__": np.ones(rows, np.int32), "__weight__": random.choice([1.0, -0.5], rows),
        "Mbc": random.normal(np.where(signal, 5.279, 5.25), np.where(signal, 0.003, 0.02)),
        "deltaE": random.normal(0, np.where(signal, 0.02, 0.1)),
        "isSignal": signal.astype(np.float64), "isSignalAcceptMissingNeutrino": signal.astype(np.float64),
        "isContinuumEvent": (~signal).astype(np.float64), "mcErrors": np.where(signal, 0, 512).astype(np.float64),
        "mcPDG": np.where(signal, 511.0, 0.0), "genMotherPDG": np.where(signal, 300553.0, 10022.0),
        "mcE": random.exponential(1, rows) * nothing, "mcPT": random.exponential(1, rows) * nothing,
        "nMCMatches": signal.astype(np.float64), "mu_mcPDG": np.where(signal, 13.0, 211.0), "mu_p": random.exponential(1, rows),
        "mu_muonID": np.clip(random.normal(0.4 + 0.3 * signal, 0.3), 0, 1), "R2": np.clip(random.normal(0.3 - 0.1 * signal, 0.1), 0, 1),
        "thrustBm": np.clip(random.normal(0.8 - 0.1 * signal, 0.1), 0, 1), "cosTBTO": random.uniform(0, 1, rows),
        "chiProb": random.uniform(0, 1, rows), "charge": random.choice([-1.0, 1.0], rows),
    }  # fmt: skip
    return write_tree(path, columns, "variables")


def atlas_parquet(path: Path, rows: int = 400) -> Path:
    """Events with jets in MeV whose tracks are lists of lists: ``jet_trk_pt``."""
    random = np.random.default_rng(3)
    n_jets = random.integers(0, 6, rows)
    jets = int(n_jets.sum())
    flavour = random.choice([0, 4, 5, 15], jets, p=[0.5, 0.2, 0.25, 0.05])
    n_tracks = random.integers(0, 9, jets)
    b = np.repeat(flavour == 5, n_tracks)
    total = int(n_tracks.sum())
    pt, eta, phi = (
        20e3 + random.exponential(40e3, jets),
        random.uniform(-2.4, 2.4, jets),
        random.uniform(-np.pi, np.pi, jets),
    )

    def tracks(values: Any) -> ak.Array:
        return _lists(_lists(values.astype(np.float32), n_tracks), n_jets)

    def of_jets(values: Any) -> ak.Array:
        return _lists(values, n_jets)

    d0 = random.normal(0, 0.02, total) + b * random.exponential(0.3, total)
    columns = {
        "eventNumber": np.arange(rows, dtype=np.uint64), "runNumber": np.full(rows, 284500, np.uint32),
        "mcChannelNumber": random.choice([410470, 410471], rows).astype(np.uint32),
        "mcEventWeight": random.choice([-1.0, 1.0], rows, p=[0.2, 0.8]), "pileup_weight": random.uniform(0.5, 1.5, rows),
        "averageInteractionsPerCrossing": random.uniform(10, 60, rows).astype(np.float32),
        "jet_pt": of_jets(pt.astype(np.float32)), "jet_eta": of_jets(eta.astype(np.float32)), "jet_phi": of_jets(phi.astype(np.float32)),
        "jet_E": of_jets((pt * np.cosh(eta)).astype(np.float32)), "jet_JVT": of_jets(random.uniform(0, 1, jets).astype(np.float32)),
        "jet_LabDr_HadF": of_jets(flavour.astype(np.int32)), "jet_nGhostBHad": of_jets((flavour == 5).astype(np.int32)),
        "jet_truthPt": of_jets((pt * random.normal(1, 0.1, jets)).astype(np.float32)),
        "jet_DoubleHadLabel": of_jets(flavour.astype(np.int32)), "jet_dl1r_pb": of_jets(random.uniform(0, 1, jets).astype(np.float32)),
        "jet_trk_pt": tracks(500 + random.exponential(3000, total)), "jet_trk_eta": tracks(np.repeat(eta, n_tracks) + random.normal(0, 0.1, total)),
        "jet_trk_phi": tracks(np.repeat(phi, n_tracks) + random.normal(0, 0.1, total)), "jet_trk_d0": tracks(d0),
        "jet_trk_d0err": tracks(random.uniform(0.01, 0.03, total)), "jet_trk_z0": tracks(random.normal(0, 0.2, total)),
        "jet_trk_z0err": tracks(random.uniform(0.05, 0.1, total)), "jet_trk_orig": tracks(np.where(b, 1, 0)),
        "jet_trk_pdg_id": tracks(random.choice([-211, 211], total)), "jet_trk_charge": tracks(random.choice([-1, 1], total)),
        "jet_trk_nInnHits": tracks(np.where(random.random(total) < 0.1, -999, random.integers(0, 3, total))),
    }  # fmt: skip
    ak.to_parquet(ak.zip(columns, depth_limit=1), path, extensionarray=False)
    return path


def atlas_ftag(path: Path, rows: int = ROWS) -> Path:
    """The structured HDF5 of ATLAS flavour tagging: ``jets`` and ``tracks`` with the names of the training-dataset-dumper, in MeV."""
    random = np.random.default_rng(4)
    flavour = random.choice([0, 4, 5, 15], rows, p=[0.5, 0.2, 0.25, 0.05])
    jets = {
        "pt_btagJes": 20e3 + random.exponential(40e3, rows), "eta_btagJes": random.uniform(-2.5, 2.5, rows),
        "absEta_btagJes": random.uniform(0, 2.5, rows), "mass": random.exponential(8e3, rows), "eventNumber": np.arange(rows) // 3,
        "mcEventWeight": random.choice([-1.0, 1.0], rows), "HadronConeExclTruthLabelID": flavour,
        "HadronConeExclExtendedTruthLabelID": flavour, "HadronGhostTruthLabelID": flavour, "n_truth_promptLepton": random.integers(0, 2, rows),
        "GN2v01_pb": random.uniform(0, 1, rows), "DL1dv01_pu": random.uniform(0, 1, rows), "JetFitterSecondaryVertex_mass": random.exponential(2e3, rows),
        "secondaryVtx_m": random.exponential(2e3, rows), "R10TruthLabel_R22v1": flavour, "PartonTruthLabelID": flavour,
    }  # fmt: skip
    members = 12
    valid = np.arange(members) < random.integers(0, members, rows)[:, None]
    b = (flavour == 5)[:, None]
    tracks = {
        "pt": 500 + random.exponential(3e3, (rows, members)), "deta": random.normal(0, 0.1, (rows, members)),
        "dphi": random.normal(0, 0.1, (rows, members)), "dr": random.uniform(0, 0.4, (rows, members)),
        "d0": random.normal(0, np.where(b, 0.4, 0.05), (rows, members)), "d0Uncertainty": random.uniform(0.01, 0.05, (rows, members)),
        "z0SinTheta": random.normal(0, 0.3, (rows, members)), "z0SinThetaUncertainty": random.uniform(0.05, 0.1, (rows, members)),
        "IP3D_signed_d0_significance": random.normal(0, 3, (rows, members)), "qOverP": random.normal(0, 2e-4, (rows, members)),
        "numberOfPixelHits": random.integers(0, 6, (rows, members)), "ftagTruthOriginLabel": np.where(b, 3, 1) * np.ones((rows, members)),
        "ftagTruthVertexIndex": random.integers(-2, 4, (rows, members)), "ftagTruthParentBarcode": random.integers(0, 9999, (rows, members)),
        "leptonID": random.integers(0, 3, (rows, members)), "valid": valid,
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        file["jets"] = _structured(jets, (rows,))
        file["tracks"] = _structured(tracks, (rows, members))
    return path


def _structured(columns: dict[str, Any], shape: tuple[int, ...]) -> Any:
    kinds = {"f": "<f4", "i": "<i4", "u": "<u4", "b": "?"}
    table = np.zeros(shape, [(name, kinds[np.asarray(v).dtype.kind]) for name, v in columns.items()])
    for name, values in columns.items():
        table[name] = values
    return table


def jetclass(path: Path, rows: int = ROWS) -> Path:
    """JetClass (arXiv:2202.03772): ten flags, constituents with impact parameters and their errors, auxiliary truth."""
    random = np.random.default_rng(5)
    names = ["QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl"]
    kind = random.integers(0, 10, rows)
    counts = random.integers(5, 60, rows)
    total = int(counts.sum())
    deta, dphi = random.normal(0, 0.2, total), random.normal(0, 0.2, total)
    eta, phi, pt = random.uniform(-2, 2, rows), random.uniform(-np.pi, np.pi, rows), random.uniform(500, 1000, rows)
    part_pt = random.exponential(10, total) + 0.5
    part_eta, part_phi = np.repeat(eta, counts) + deta, np.repeat(phi, counts) + dphi
    charged = random.random(total) < 0.6
    parts = {
        "part_px": part_pt * np.cos(part_phi), "part_py": part_pt * np.sin(part_phi), "part_pz": part_pt * np.sinh(part_eta),
        "part_energy": part_pt * np.cosh(part_eta), "part_deta": deta, "part_dphi": dphi,
        "part_d0val": np.where(charged, random.normal(0, 0.1 + 0.2 * np.repeat(kind == 1, counts)), 0), "part_d0err": np.where(charged, 0.05, 0),
        "part_dzval": np.where(charged, random.normal(0, 0.2, total), 0), "part_dzerr": np.where(charged, 0.08, 0),
        "part_charge": np.where(charged, random.choice([-1, 1], total), 0), "part_isChargedHadron": charged * 1.0,
        "part_isNeutralHadron": (~charged) * 1.0, "part_isPhoton": 0 * part_pt, "part_isElectron": 0 * part_pt, "part_isMuon": 0 * part_pt,
    }  # fmt: skip
    columns = {name: _lists(values.astype(np.float32), counts) for name, values in parts.items()}
    columns |= {f"label_{name}": (kind == k).astype(np.float32 if not k else bool) for k, name in enumerate(names)}
    columns |= {
        "jet_pt": pt.astype(np.float32), "jet_eta": eta.astype(np.float32), "jet_phi": phi.astype(np.float32),
        "jet_energy": (pt * np.cosh(eta)).astype(np.float32), "jet_nparticles": counts.astype(np.float32),
        "jet_sdmass": random.normal(60 + 60 * (kind > 0), 15).astype(np.float32), "jet_tau1": random.uniform(0, 1, rows).astype(np.float32),
        "jet_tau2": random.uniform(0, 1, rows).astype(np.float32), "aux_genpart_eta": eta.astype(np.float32),
        "aux_genpart_phi": phi.astype(np.float32), "aux_genpart_pid": np.where(kind, 25, 0).astype(np.float32),
        "aux_genpart_pt": pt.astype(np.float32), "aux_truth_match": (kind > 0).astype(np.float32),
    }  # fmt: skip
    return write_tree(path, columns)


def open_data_jets(path: Path, rows: int = ROWS) -> Path:
    """One jet per row, with the camel-case names of CMS Open Data's jet n-tuples: ``jetPt``, ``PF_pT``, ``partonFlav``, ``isPhysG``."""
    random = np.random.default_rng(6)
    gluon = random.random(rows) < 0.5
    counts = random.integers(3, 30, rows) + 8 * gluon
    total = int(counts.sum())
    columns = {
        "jetPt": random.exponential(60, rows) + 30, "jetEta": random.uniform(-2, 2, rows), "jetPhi": random.uniform(-np.pi, np.pi, rows),
        "jetMass": random.exponential(10, rows), "jetRawPt": random.exponential(60, rows) + 25, "jetTightID": np.ones(rows, np.int32),
        "jetLooseID": (random.random(rows) < 0.9).astype(np.int32), "jetQGl": np.clip(random.normal(0.5 - 0.2 * gluon, 0.2), 0, 1),
        "QG_ptD": np.clip(random.normal(0.4 - 0.1 * gluon, 0.1), 0, 1), "QG_mult": counts.astype(np.int32),
        "partonFlav": np.where(gluon, 21, random.choice([1, 2, 3], rows)).astype(np.int32), "hadronFlav": np.zeros(rows, np.int32),
        "physFlav": np.where(gluon, 21, 1).astype(np.int32), "isPhysG": gluon.astype(np.int32), "isPhysUDS": (~gluon).astype(np.int32),
        "isPartonG": gluon.astype(np.int32), "isPartonUDS": (~gluon).astype(np.int32), "genJetPt": random.exponential(60, rows) + 30,
        "jetGenMatch": np.ones(rows, np.int32), "eventJetMult": random.integers(1, 6, rows).astype(np.int32), "nPVs": random.integers(1, 40, rows).astype(np.int32),
        "eventWeight": random.exponential(1, rows) * 1e-3, "rhoall": random.uniform(5, 40, rows), "event": np.arange(rows, dtype=np.int64) // 2,
        "PF_pT": _lists(random.exponential(4, total).astype(np.float32), counts), "PF_dR": _lists(random.uniform(0, 0.5, total).astype(np.float32), counts),
        "PF_dTheta": _lists(random.normal(0, 0.3, total).astype(np.float32), counts), "PF_mass": _lists(random.choice([0, 0.1396], total).astype(np.float32), counts),
        "PF_id": _lists(random.choice([1, 2, 4, 5], total).astype(np.int32), counts), "PF_fromPV": _lists(random.integers(0, 4, total).astype(np.int32), counts),
    }  # fmt: skip
    return write_tree(path, columns)


def delphes(path: Path, rows: int = 500) -> Path:
    """Delphes: jets with ``Jet.Flavor`` of true partons, ``Jet.BTag``, events with ``Event.Weight`` and five N-subjettiness values."""
    random = np.random.default_rng(7)
    counts = random.integers(0, 6, rows)
    total = int(counts.sum())
    flavour = random.choice([1, 2, 3, 4, 5, 21], total)
    values = {
        "Jet.PT": 20 + random.exponential(40, total) + 10 * (flavour == 5), "Jet.Eta": random.uniform(-2.5, 2.5, total),
        "Jet.Phi": random.uniform(-np.pi, np.pi, total), "Jet.Mass": random.exponential(8, total) + 4 * (flavour == 21),
        "Jet.DeltaEta": random.uniform(0, 0.4, total), "Jet.NCharged": random.poisson(8 + 4 * (flavour == 21)),
    }  # fmt: skip
    columns: dict[str, Any] = {name: _lists(v.astype(np.float32), counts) for name, v in values.items()}
    columns |= {
        "Jet.Flavor": _lists(flavour.astype(np.uint32), counts),
        "Jet.BTag": _lists((random.random(total) < 0.1 + 0.6 * (flavour == 5)).astype(np.uint32), counts),
        "Jet.Charge": _lists(random.integers(-1, 2, total).astype(np.int32), counts),
        "Jet.T": _lists(np.zeros(total, np.float32), counts),
        "Event.Weight": _lists(np.ones(rows, np.float32), np.ones(rows, np.int64)),
        "Event.Number": _lists(np.arange(rows), np.ones(rows, np.int64)),
        "MissingET.MET": _lists(random.exponential(30, rows).astype(np.float32), np.ones(rows, np.int64)),
        "Particle.PID": _lists(random.choice([11, 13, 5, 21], 3 * rows).astype(np.int32), np.full(rows, 3)),
        "Particle.PT": _lists(random.exponential(30, 3 * rows).astype(np.float32), np.full(rows, 3)),
    }  # fmt: skip
    return write_tree(path, columns, "Delphes")


def odd_truth(path: Path, rows: int = ROWS) -> Path:
    """One row per event, with truth under unusual names, weights under short names, flags as floats, and sentinels."""
    random = np.random.default_rng(8)
    signal = random.random(rows) < 0.5
    columns = {
        "y": signal.astype(np.float32), "origin": np.where(signal, 3, random.integers(0, 3, rows)).astype(np.float32),
        "process_id": np.where(signal, 7, 8).astype(np.int32), "dsid": np.where(signal, 345678, 410470).astype(np.int32),
        "sample": np.where(signal, 1.0, 0.0), "xsec": np.where(signal, 0.5, 831.8), "w": random.normal(1, 0.8, rows), "sf_btag": random.normal(1, 0.05, rows),
        "puWgt": random.uniform(0.5, 1.5, rows), "lep_pt": random.exponential(30e3, rows) + 25e3, "met": random.exponential(40e3, rows),
        "n_jets": random.poisson(4 + 1.5 * signal), "ht": random.exponential(2e5, rows) + 1e5 * signal, "isTight": (random.random(rows) < 0.8).astype(np.float32),
        "mll": np.where(random.random(rows) < 0.4, -999.0, random.normal(90, 20, rows)), "dphi_ll": random.uniform(0, np.pi, rows),
        "evt": np.arange(rows, dtype=np.int64),
    }  # fmt: skip
    return write_tree(path, columns, "nominal", {"JET_JER_1up": columns, "sumWeights": {"sumw": np.array([1.0])}})


def flat_tops(path: Path, rows: int = 800) -> Path:
    """Top jets as a flat Parquet table: ``E_0 ... E_119``, padded with zeros."""
    random = np.random.default_rng(9)
    members = 120
    top = random.random(rows) < 0.5
    there = np.arange(members) < (random.integers(10, 60, rows) + 20 * top)[:, None]
    pt, eta, phi = (
        random.exponential(12, (rows, members)),
        random.normal(0, 0.3, (rows, members)),
        random.normal(0, 0.3, (rows, members)),
    )
    parts = {"E": pt * np.cosh(eta), "PX": pt * np.cos(phi), "PY": pt * np.sin(phi), "PZ": pt * np.sinh(eta)}
    columns = {
        f"{name}_{k}": np.where(there, v, 0)[:, k].astype(np.float32)
        for name, v in parts.items()
        for k in range(members)
    }
    columns |= {
        "is_signal_new": top.astype(np.int64),
        "ttv": np.zeros(rows, np.int64),
        "truthE": np.where(top, 500.0, 0.0),
    }
    ak.to_parquet(ak.zip(columns, depth_limit=1), path, extensionarray=False)
    return path
