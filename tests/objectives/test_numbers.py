"""The objectives learn what they always did: losses of short trainings, as recorded before objectives had a registry.

Other processors round differently in the last digits; ``benchmarks/same_numbers.py`` compares two checkouts bit for bit.
"""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from collidekit.analysis.load import load_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

ANALYSIS = """
classes:
  background: label == 0
  signal: label == 1
inputs:
  plane: {features: [x, y]}
weight: weight
event: [event]
spectators: [mass]
discriminators: {SvsB: {signal: signal, background: background}}
figure_of_merit: {variable: mass, window: [0.4, 0.6], signal: signal, signal_fraction: 0.05, events: 10000}
"""
CASES: dict[str, dict[str, Any]] = {
    "classification": {},
    "label_smoothing": {"label_smoothing": 0.1},
    "focal": {"loss_function": "FocalLoss", "focal_gamma": 1.5},
    "relegator": {"objective": "relegator"},
    "relegator_counted": {"objective": "relegator", "expected_yields": False, "significance_weight": 2.0},
    "relegator_factor": {"objective": "relegator_factor"},
    "relegator_difference": {"objective": "relegator_difference", "significance_warmup": 0.1},
    "modified_binary": {"objective": "modified_binary"},
    "disco": {"objective": "disco", "disco_weight": 3.0},
    "adversarial": {"attack": "fgsm", "attack_magnitude": 0.1},
    "trades": {"attack": "pgd", "attack_magnitude": 0.1, "attack_iterations": 2, "adversarial": "trades"},
}
COMMON = {
    "model_name": "mlp",
    "model_options": {"hidden": [16]},
    "epochs": 2,
    "batch_size": 128,
    "learning_rate": 0.02,
    "seed": 7,
}


def make_dataset(folder: Path, rows: int = 1500) -> Dataset:
    """Two classes in a plane, and a mass with a peak of signal."""
    random = np.random.default_rng(3)
    label = random.integers(0, 2, rows)
    columns = {
        "label": label.astype(np.int32),
        "event": np.arange(rows),
        "x": (random.normal(size=rows) + 1.5 * label).astype(np.float32),
        "y": random.normal(size=rows).astype(np.float32),
        "weight": random.uniform(0.5, 1.5, rows).astype(np.float32),
        "mass": np.where(label == 1, random.normal(0.5, 0.05, rows), random.uniform(size=rows)).astype(np.float32),
    }
    (folder / "plane.yaml").write_text(ANALYSIS)
    pq.write_table(ak.to_arrow_table(ak.zip(columns), extensionarray=False), folder / "rows.parquet")
    analysis = load_analysis(folder / "plane.yaml")
    manifest = construct(Plan(analysis), [str(folder / "rows.parquet")], folder / "dataset", progress=False)
    return Dataset(manifest.folder, analysis=analysis)


def train(dataset: Dataset, folder: Path, settings: dict[str, Any]) -> list[float]:
    """Losses of the training and of the validation rows, epoch by epoch."""
    training = Training(TrainingConfig(**{**COMMON, **settings}), dataset, folder, accelerator="cpu")
    training.run()
    return [float(row[name]) for row in training.history.epochs for name in ("train_loss", "val_loss")]


EXPECTED = {
    "classification": [[0.8917606507, 0.5261775255], [0.5174462788, 0.5245791674]],
    "label_smoothing": [[0.8833176509, 0.5595830083], [0.5510893529, 0.5585145950]],
    "focal": [[0.4872002419, 0.1990435421], [0.1947489394, 0.1986825168]],
    "relegator": [[0.7136060353, 3.6016976489], [0.7996282760, 3.6012760575]],
    "relegator_counted": [[0.7353244086, 2.5690638723], [0.6834740145, 2.7453028555]],
    "relegator_factor": [[0.7447941941, 1.4751859900], [0.8661861010, 1.4744286639]],
    "relegator_difference": [[0.8289861053, -0.4796439536], [0.8923322972, -0.4790774310]],
    "modified_binary": [[0.5767228672, 3.4857263899], [0.3709119416, 3.4837390577]],
    "disco": [[1.0449005965, 0.5632539988], [0.6642121654, 0.5607824922]],
    "adversarial": [[0.9539992263, 0.5307353139], [0.5689831331, 0.5291563272]],
    "trades": [[0.8932164242, 0.5262524486], [0.5196842597, 0.5246648192]],
}
"""Losses of the training and the validation rows, epoch by epoch."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("plane"))


@pytest.mark.parametrize("case", CASES)
def test_losses(case: str, dataset: Dataset, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    expected = [value for epoch in EXPECTED[case] for value in epoch]
    assert train(dataset, tmp_path, CASES[case]) == pytest.approx(expected, rel=1e-4)
