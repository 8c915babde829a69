"""Datasets of numbered rows."""

import pytest
import torch
from makers import NUMBERED, make_dataset, numbered

from collidekit.dataset import workers
from collidekit.dataset.loader import Dataset

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _workers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are started however little there is to do."""
    monkeypatch.setattr(workers, "WORTH", 0.0)


@pytest.fixture(scope="session")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """5,000 rows in three shards, the last of them short."""
    return make_dataset(tmp_path_factory.mktemp("numbers"), NUMBERED, numbered(5000), chunk_size=2100)
