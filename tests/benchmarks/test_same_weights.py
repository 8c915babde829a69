"""The objectives learn what they always did: losses of short trainings, as the code before the registry gave them.

Other processors round differently in the last digits; ``benchmarks/same_weights.py`` compares two versions bit for bit.
"""

import sys
from pathlib import Path

import pytest
import torch

from collidekit.dataset.loader import Dataset

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from same_weights import CASES, make_dataset, train

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
    found = train(dataset, tmp_path, CASES[case])["losses"]
    assert [value for epoch in found for value in epoch] == pytest.approx(
        [value for epoch in EXPECTED[case] for value in epoch], rel=1e-4
    )
