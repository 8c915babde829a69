"""Prepare the jets of training.py: ragged as from collidekit's loader, and padded as from weaver's."""

from pathlib import Path

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from collidekit import Dataset, construct, load_plan
from collidekit.dataset.batch import Ragged
from collidekit.dataset.loader import Loader
from collidekit.dataset.statistics import statistics
from collidekit.models.scaling import Scaling
from collidekit.readers import open_file

LIMIT = 128
ANALYSIS = f"""
variables:
  jet_px: sum(PX)
  jet_py: sum(PY)
  jet_pz: sum(PZ)
  jet_energy: sum(E)
  part_pt: pt(PX, PY)
  jet_pt: pt(jet_px, jet_py)
  part_deta: eta(PX, PY, PZ) - eta(jet_px, jet_py, jet_pz)
  part_dphi: delta_phi(phi(PX, PY), phi(jet_px, jet_py))
classes: {{qcd: is_signal_new == 0, top: is_signal_new == 1}}
inputs:
  constituents:
    limit: {LIMIT}
    order: part_pt
    momenta: [PX, PY, PZ, E]
    coordinates: [part_deta, part_dphi]
    features:
      - part_deta
      - part_dphi
      - {{name: part_logpt, expression: log(part_pt)}}
      - {{name: part_logenergy, expression: log(E)}}
      - {{name: part_logptrel, expression: log(part_pt / jet_pt)}}
      - {{name: part_logenergyrel, expression: log(E / jet_energy)}}
      - {{name: part_dr, expression: "hypot(part_deta, part_dphi)"}}
"""


def write_jets(parquet: Path, jets: int, folder: Path) -> dict[str, float]:
    """Write the first jets of a file to a folder, ragged in ``jets.pt`` and padded in ``jets.npz``, and return their description."""
    (folder / "analysis.yaml").write_text(ANALYSIS)
    with open_file(str(parquet)) as reader:
        rows = reader.read(["PX", "PY", "PZ", "E", "is_signal_new"], 0, min(jets, reader.rows))
    ak.to_parquet(rows, folder / "jets.parquet")
    plan = load_plan(str(folder / "analysis.yaml"))
    construct(plan, str(folder / "jets.parquet"), folder / "dataset", progress=False)
    dataset = Dataset(folder / "dataset")
    batch = next(iter(Loader(dataset, len(dataset), threads=0)))  # in raw units
    scaling = Scaling(dataset.analysis.inputs)
    scaling.fit(statistics(batch, dataset.analysis))
    torch.save((dataset.analysis, batch, scaling.state_dict()), folder / "jets.pt")
    scaled = scaling(batch.inputs)["constituents"]
    assert isinstance(scaled, Ragged)
    np.savez(
        folder / "jets.npz",
        points=padded(scaled.coordinates, scaled.offsets),
        features=padded(scaled.values, scaled.offsets),  # weaver scales in its loader, collidekit in the network
        vectors=padded(scaled.momenta, scaled.offsets),
        mask=padded(torch.ones(len(scaled.data), 1), scaled.offsets),
        labels=batch.labels.numpy(),
    )
    return {"jets": len(batch), "constituents per jet": float(scaled.counts.double().mean())}


def padded(values: Tensor, offsets: Tensor, length: int = LIMIT) -> np.ndarray:
    """Pad ragged values (T, C) to (N, C, length) with zeros, as in weaver."""
    counts = offsets.diff()
    rows = torch.repeat_interleave(counts)
    slots = rows * length + torch.arange(len(values)) - offsets[:-1][rows]
    dense = values.new_zeros(len(counts) * length, values.shape[1])
    dense[slots] = values
    return dense.view(-1, length, values.shape[1]).transpose(1, 2).contiguous().numpy()
