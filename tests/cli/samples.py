"""Tiny samples: jets with constituents in ROOT, Parquet or HDF5, and analyses for them."""

from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import uproot

ANALYSIS = """
source: {tree: tree}
selection: jet_pt > 20 and abs(jet_eta) < 2.5
variables:
  part_pt: pt(part_px, part_py)
  part_logptrel: log(part_pt / jet_pt)
classes:
  background: label == 0
  signal: label == 1
inputs:
  particles:
    limit: 8
    order: part_pt
    features:
      - part_logptrel
      - {name: part_d0, default: 0, bounds: [-1, 1]}
  jet: {features: [jet_pt, jet_mass]}
spectators: [jet_pt]
event: [event]
discriminators: {SvsB: {signal: signal, background: background}}
training: {model_name: pfn, model_options: {phi: [8], f: [8]}, epochs: 1, batch_size: 64}
"""


def jets(number: int, seed: int = 0, **changed: Any) -> dict[str, Any]:
    """Return columns of ``number`` jets; signal jets are heavier and have more and displaced constituents."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, number).astype(np.int32)
    counts = random.poisson(4 + 2 * label) + 1
    total = int(counts.sum())

    def lists(values: Any) -> ak.Array:
        return ak.unflatten(np.asarray(values, dtype=np.float32), counts)

    columns = {
        "event": seed * 1_000_000 + np.arange(number, dtype=np.int64),
        "label": label,
        "jet_pt": random.uniform(30, 100, number).astype(np.float32),
        "jet_eta": random.uniform(-2, 2, number).astype(np.float32),
        "jet_phi": random.uniform(-3, 3, number).astype(np.float32),
        "jet_mass": (random.gamma(4, 3, number) + 4 * label).astype(np.float32),
        "part_px": lists(random.normal(0, 10, total)),
        "part_py": lists(random.normal(0, 10, total)),
        "part_pz": lists(random.normal(0, 10, total)),
        "part_energy": lists(random.uniform(30, 60, total)),
        "part_d0": lists(random.normal(0, 0.2 + 0.1 * np.repeat(label, counts))),
        "part_truth_origin": lists(random.integers(0, 3, total)),
    }
    return columns | changed


def write_root(path: Path, columns: dict[str, Any], tree: str = "tree") -> Path:
    with uproot.recreate(path) as file:
        file.mktree(tree, {name: ak.Array(values).type.content for name, values in columns.items()})
        file[tree].extend({name: ak.Array(values) for name, values in columns.items()})
    return path


def write_parquet(path: Path, columns: dict[str, Any]) -> Path:
    ak.to_parquet(ak.zip({name: ak.Array(values) for name, values in columns.items()}, depth_limit=1), path)
    return path


def write_structured_hdf5(path: Path, number: int) -> Path:
    """Write an HDF5 file in the layout of ATLAS: arrays of jets and tracks of fixed length with a valid flag."""
    random = np.random.default_rng(3)
    jets = np.zeros(number, [("pt", "f4"), ("eta", "f4"), ("HadronConeExclTruthLabelID", "i4"), ("eventNumber", "i8")])
    jets["pt"], jets["eta"] = random.uniform(20, 200, number), random.uniform(-2.5, 2.5, number)
    jets["HadronConeExclTruthLabelID"] = random.choice([0, 4, 5], number)
    jets["eventNumber"] = np.arange(number)
    tracks = np.zeros((number, 10), [("d0", "f4"), ("z0", "f4"), ("deta", "f4"), ("dphi", "f4"), ("valid", "?")])
    for name in ("d0", "z0", "deta", "dphi"):
        tracks[name] = random.normal(0, 1, (number, 10))
    tracks["valid"] = np.arange(10) < random.integers(1, 10, number)[:, None]
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks
    return path
