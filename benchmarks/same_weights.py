"""Whether a change leaves every training as it was: short trainings with fixed seeds, compared bit for bit.

    python benchmarks/same_weights.py before.json                     # in a checkout of the code before
    python benchmarks/same_weights.py after.json --before before.json  # in one with the change

Each file holds the checksum of the weights and the losses of every training. Checksums depend on processor, threads and
version of torch, so compare only on one machine and in one environment.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import torch

from collidekit.analysis.load import load_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset
from collidekit.training.checkpoint import load_content
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


def train(dataset: Dataset, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Checksum of the weights that a training keeps, and the losses of its epochs."""
    training = Training(TrainingConfig(**{**COMMON, **settings}), dataset, folder, accelerator="cpu")
    weights = load_content(training.run())["tagger"]
    checksum = hashlib.sha256()
    for name, value in sorted(weights.items()):
        checksum.update(name.encode() + value.contiguous().numpy().tobytes())
    losses = [[float(row["train_loss"]), float(row["val_loss"])] for row in training.history.epochs]
    return {"weights": checksum.hexdigest(), "losses": losses}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--before", type=Path, help="a file that the code before has written")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        dataset = make_dataset(Path(name))
        found = {case: train(dataset, Path(name) / case, settings) for case, settings in CASES.items()}
    chosen.out.write_text(json.dumps(found, indent=1))
    if chosen.before is None:
        return 0
    before = json.loads(chosen.before.read_text())
    different = [case for case in before if before[case] != found.get(case)]
    print(
        f"different: {', '.join(different)}" if different else f"all {len(before)} trainings are the same, bit for bit"
    )
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
