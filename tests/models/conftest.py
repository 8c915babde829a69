"""Rows of the toy."""

import pytest
import torch
import toys

from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Dataset
from collidekit.dataset.statistics import statistics
from collidekit.models import Tagger, build_network

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("models"), toys.TOY, toys.toy_table(200))


@pytest.fixture(scope="session")
def batch(dataset: Dataset) -> Batch:
    return toys.all_rows(dataset)


@pytest.fixture
def tagger(dataset: Dataset, batch: Batch) -> Tagger:
    """A PFN of the paper's sizes with first weights, scaled to the toy."""
    torch.manual_seed(3)
    analysis = dataset.analysis
    tagger = Tagger(analysis, build_network("pfn", analysis.inputs, 2, {})).eval()
    tagger.scaling.fit(statistics(batch, analysis))
    return tagger
