"""Datasets of the toys, and a training in one call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import toys

from collidekit.dataset.loader import Dataset
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

torch.set_num_threads(1)

Train = Callable[..., Training]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """1,200 rows of the toy in three shards."""
    return toys.make_dataset(tmp_path_factory.mktemp("toy"), toys.TOY, toys.toy_table(1200), chunk_size=500)


@pytest.fixture(scope="session")
def gaussians(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """20,000 rows of two Gaussians, two units apart."""
    return toys.make_dataset(tmp_path_factory.mktemp("gaussians"), toys.GAUSSIANS, toys.gaussians_table(20_000, 2.0))


@pytest.fixture
def training(tmp_path: Path) -> Train:
    """A training in a folder of its own that has not begun."""

    def make(dataset: Dataset, folder: str = "training", save_seconds: float = 120.0, **settings: Any) -> Training:
        if "model_name" not in settings and dataset.analysis.collections:
            settings = {"model_options": toys.SMALL, **settings}
        elif "model_name" not in settings:
            settings = {"model_name": "mlp", "model_options": {"hidden": [16]}, **settings}
        config = TrainingConfig(**{"epochs": 2, "batch_size": 128, **settings})
        return Training(config, dataset, tmp_path / folder, accelerator="cpu", save_seconds=save_seconds)

    return make


@pytest.fixture
def train(training: Train) -> Train:
    """A training that is done."""

    def make(*arguments: Any, **settings: Any) -> Training:
        done = training(*arguments, **settings)
        done.run()
        return done

    return make
