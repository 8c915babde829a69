"""A toy whose conditional density is known: y = 100 + 10 x + s(x) normal, s(x) = 2 exp(x / 2), in rows of random weight."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import toys

from collidekit.dataset.loader import Dataset
from collidekit.training.checkpoint import Checkpoint, load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.display import Display
from collidekit.training.loop import Training

TEXT = """
inputs:
  point: {{features: [x]}}
targets:
  energy: {{values: {{energy: true_energy}}, unit: GeV, {more}}}
weight: weight
event: [event]
spectators: [x]
"""
SETTINGS: dict[str, Any] = {
    "model_name": "mlp", "model_options": {"hidden": [32, 32]}, "epochs": 8, "batch_size": 128, "learning_rate": 0.01,
    "lr_scheduler": "one_cycle", "lr_decay_factor": 0.001, "ema_decay": 0.99,
}  # fmt: skip


def mean(x: Any) -> Any:
    return 100 + 10 * x


def deviation(x: Any) -> Any:
    return 2 * np.exp(x / 2)


def table(rows: int, seed: int = 1, bimodal: bool = False) -> ak.Array:
    """With ``bimodal``: y = 100 + 10 x ± (10 + 3 x) + 2.5 normal, each sign as often."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=rows)
    noise = generator.normal(size=rows)
    sign = generator.choice([-1.0, 1.0], rows)
    y = mean(x) + (sign * (10 + 3 * x) + 2.5 * noise if bimodal else deviation(x) * noise)
    columns = {"x": x.astype(np.float32), "true_energy": y, "event": np.arange(rows)}
    return ak.zip({**columns, "weight": generator.uniform(0.5, 1.5, rows).astype(np.float32)})


def dataset(folder: Path, more: str, rows: int, seed: int = 1, bimodal: bool = False) -> Dataset:
    return toys.make_dataset(folder, TEXT.format(more=more), table(rows, seed, bimodal))


def trained(folder: Path, data: Dataset, **more: Any) -> Checkpoint:
    settings: Mapping[str, Any] = {**SETTINGS, **more}
    Training(TrainingConfig(**settings), data, folder, Display(shown=False), accelerator="cpu").run()
    return load_checkpoint(folder / "best_model.pt")
