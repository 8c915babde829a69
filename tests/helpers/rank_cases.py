"""Trainings by one process and by two, in the same order on both sides; run as a script this is the second process."""

import sys
from pathlib import Path
from typing import Any

import awkward as ak
import matrix
import numpy as np
import torch
import toys
from torch.distributed import FileStore  # type: ignore[attr-defined]

from collidekit.dataset.loader import Dataset
from collidekit.ranks.group import SeveralRanks
from collidekit.training.config import TrainingConfig
from collidekit.training.ranks import Request, join, on_loopback

ANALYSIS = """
classes: {background: label == 0, other: label == 2, signal: label == 1}
inputs:
  constituents:
    limit: 12
    order: part_pt
    momenta: ["px(part_pt, part_phi)", "py(part_pt, part_phi)", "pz(part_pt, part_eta)", "energy(part_pt, part_eta, 0)"]
    coordinates: [part_eta, part_phi]
    features: [{name: part_logpt, expression: log(part_pt)}, part_eta, part_phi]
  jet: {features: [jet_pt]}
targets:
  origin: {collection: constituents, classes: {hard: part_vertex == 0, soft: part_vertex > 0}, weight: 0.5}
  vertex: {collection: constituents, same: part_vertex}
  energy: {values: {jet_energy: energy}, unit: GeV}
weight: weight
spectators: [mass]
event: [event]
kinematics: {jet_pt: [0, 40, 60, 80, 200], reference: signal}
discriminators: {SvsB: {signal: signal, background: [background, other]}}
figure_of_merit: {variable: mass, window: [80, 120], signal: signal, yields: {signal: 50, background: 500, other: 200}}
"""
"""With targets of every kind, beside the classes; networks without embeddings leave those of constituents out."""
SMALL: dict[str, Any] = {"model_name": "pfn", "model_options": toys.SMALL}


def network(name: str, **more: Any) -> dict[str, Any]:
    """Return settings of a small network, without the random numbers of dropout."""
    return {"model_name": name, "model_options": {**matrix.SMALL[name], **more}}


CASES: dict[str, dict[str, Any]] = {
    "pfn": SMALL,
    "averaged_and_clipped": {**SMALL, "ema_decay": 0.9, "gradient_clip": 0.3, "augmentation": "rotation,drop=0.1"},
    "focal": {**SMALL, "loss_function": "FocalLoss", "label_smoothing": 0.1, "loss_weighting": True},
    "relegator": {**SMALL, "objective": "relegator"},
    "disco": {**SMALL, "objective": "disco", "disco_weight": 1.0},
    "attacked": {**SMALL, "attack": "fgsm", "attack_magnitude": 0.05, "adversarial": "replace"},
    "trades": {**SMALL, "attack": "fgsm", "attack_magnitude": 0.05, "adversarial": "trades"},
    "targets": network("transformer_small", dropout=0.0),
    "learned_weights": {**network("transformer", dropout=0.0), "target_weights": "learned"},
    "particlenet": network("particlenet", dropout=0.0),
    "particle_transformer": network("particle_transformer", dropout=0.0),
    "deepjet_transformer": network("deepjet_transformer", dropout=0.0),
    "lorentznet": network("lorentznet", dropout=0.0),
    "pcnn": network("pcnn", dropout=0.0),
    "deepjet": {"model_name": "deepjet", "model_options": {"dense": [8, 8], "recurrent": {"constituents": 8}, "dropout": 0.0}},
}  # fmt: skip
COMMON = {"epochs": 2, "batch_size": 96, "learning_rate": 5e-3, "training_precision": "float64", "seed": 3}


def table(rows: int) -> ak.Array:
    """Signal has more and harder constituents, and a peak in its mass."""
    random = np.random.default_rng(11)
    label = random.integers(0, 3, rows)
    counts = random.poisson(5 + 2 * label)
    part = np.repeat(label, counts)
    lists = {
        "part_pt": random.exponential(5 + 2 * part) + 0.1,
        "part_eta": random.normal(0, 0.3, len(part)),
        "part_phi": random.normal(0, 0.3, len(part)),
        "part_vertex": random.integers(-1, 3, len(part)),
    }
    columns = {
        "label": label,
        "jet_pt": random.gamma(6 + label, 8),
        "energy": random.gamma(6 + label, 8),
        "mass": np.where(label == 1, random.normal(100, 8, rows), random.uniform(50, 150, rows)),
        "weight": random.uniform(0.5, 1.5, rows),
        "event": np.arange(rows),
    }
    return ak.zip({**columns, **{n: ak.unflatten(v, counts) for n, v in lists.items()}}, depth_limit=1)


def config(name: str) -> TrainingConfig:
    """Return the settings of a case."""
    return TrainingConfig(**{**COMMON, **CASES[name]})


def rank_of(place: Path, name: str, rank: int) -> SeveralRanks:
    """Return one of the two ranks of a case."""
    with on_loopback():
        return join(FileStore(f"{place}/{name}.store", 2), rank, 2, rank)


def follow(dataset: str, place: Path, names: list[str]) -> None:
    """Be the second rank of the trainings of these names."""
    torch.set_num_threads(1)
    for name in names:
        ranks = rank_of(place, name, 1)
        Request.of(config(name), Dataset(dataset), place / name, None).train(ranks)
        ranks.close()


if __name__ == "__main__":
    follow(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
