"""DeepJetTransformer: sizes, pooling, names of b-hive."""

import pytest
import torch

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Collection, Group
from collidekit.dataset.batch import Ragged
from collidekit.errors import CollidekitError
from collidekit.models.registry import build_network
from collidekit.training.config import TrainingConfig

SIZES = {"charged": 16, "neutral": 6, "vertices": 12}
INPUTS = {
    name: Collection(limit=25, features=[Feature(name=f"{name}_{i}") for i in range(size)]) for name, size in SIZES.items()
} | {"jet": Group(features=[Feature(name="pt"), Feature(name="eta")])}  # fmt: skip


def inputs(counts: dict[str, list[int]]) -> dict[str, object]:
    torch.manual_seed(1)
    found: dict[str, object] = {"jet": torch.randn(3, 2)}
    for name, own in counts.items():
        offsets = torch.tensor([0, *own]).cumsum(0)
        found[name] = Ragged(torch.randn(int(offsets[-1]), SIZES[name]), offsets, SIZES[name])
    return found


def test_the_size_is_that_of_the_layers() -> None:
    """Of each layer by hand: weights and biases."""
    width, hidden = 128, 512
    embeddings = sum(2 * size + (size + 1) * width + (width + 1) * width + 2 * 2 * width for size in SIZES.values())
    attention = (width + 1) * 3 * width + (width + 1) * width
    block = attention + 2 * width + (width + 1) * 2 * hidden + hidden + (hidden + 1) * width
    rest = (width + 1) + 2 * width + (width + 1) * width + 2 * 2 * width + (width + 1) * 6
    network = build_network("deepjet_transformer", INPUTS, 6, {})
    assert sum(p.numel() for p in network.parameters()) == embeddings + 3 * block + rest


def test_weights_of_the_pooling_sum_to_one_and_a_row_may_be_empty() -> None:
    network = build_network("deepjet_transformer", INPUTS, 6, {}).eval()
    rows = inputs({"charged": [3, 0, 5], "neutral": [1, 0, 0], "vertices": [0, 0, 2]})
    weights = network.attention(rows)  # type: ignore[operator]
    sums = torch.zeros(3)
    for name, values in weights.items():
        sums.index_add_(0, rows[name].rows, values)  # type: ignore[attr-defined]
    torch.testing.assert_close(sums, torch.tensor([1.0, 0.0, 1.0]))
    assert network(rows).isfinite().all()


def test_flat_groups_act_only_where_they_are_asked_for() -> None:
    rows = inputs({"charged": [3, 0, 5], "neutral": [1, 0, 0], "vertices": [0, 0, 2]})
    other = {**rows, "jet": rows["jet"] + 1}  # type: ignore[operator]
    for flat in (False, True):
        network = build_network("deepjet_transformer", INPUTS, 2, {"flat": flat}).eval()
        assert torch.equal(network(rows), network(other)) is not flat


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(CollidekitError, match="width 100 cannot be shared by 8 heads"):
        build_network("deepjet_transformer", INPUTS, 2, {"width": 100})


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("DeepJetHLT", "deepjet_hlt"), ("DeepJetTransformer", "deepjet_transformer"),
        ("ParticleTransformer", "particle_transformer"), ("my_network.py:DeepJetHLT", "my_network.py:DeepJetHLT"),
    ],
)  # fmt: skip
def test_the_names_of_b_hive_are_the_same_networks(given: str, name: str) -> None:
    """One name in the settings, so that one training has one folder."""
    assert TrainingConfig(model_name=given).model_name == name


def test_u_part_is_a_network() -> None:
    moving = {"charged": INPUTS["charged"].model_copy(update={"momenta": ["px", "py", "pz", "e"]})}
    network = build_network("UParT", moving, 3, {})
    assert len(network.particle_blocks) == 3  # type: ignore[arg-type]
    assert len(network.class_blocks) == 1  # type: ignore[arg-type]
