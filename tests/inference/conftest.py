"""A trained toy and the files that it predicts."""

import awkward as ak
import numpy as np
import pytest
import torch
import toys

from collidekit.dataset.loader import Dataset
from collidekit.training.checkpoint import Checkpoint, load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def table() -> ak.Array:
    """150 rows of the toy; every tenth is of no class."""
    table = toys.toy_table(150, seed=8)
    label = np.where(np.arange(150) % 10 == 9, 7, ak.to_numpy(table.label)).astype(np.int32)
    return ak.with_field(table, label, "label")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("training"), toys.TOY, toys.toy_table(600))


@pytest.fixture(scope="session")
def checkpoint(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("checkpoint")
    config = TrainingConfig(model_options=toys.SMALL, epochs=6, batch_size=32, learning_rate=1e-2)
    return load_checkpoint(Training(config, dataset, folder, accelerator="cpu").run())


@pytest.fixture(scope="session")
def files(table: ak.Array, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The rows in three files of two formats."""
    folder = tmp_path_factory.mktemp("files")
    parts = [(0, 70, "a.parquet"), (70, 71, "b.root"), (71, 150, "c.root")]
    return [str(toys.write_table(folder / name, table[first:last])) for first, last, name in parts]
