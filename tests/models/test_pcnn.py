"""P-CNN: sizes of the paper, and convolutions along ragged rows that are those of torch row by row."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Collection, Group
from collidekit.errors import CollidekitError
from collidekit.models import build_network
from collidekit.models.pcnn import PCNN, Convolution, Tower, Unit, every_second, neighbours

COUNTS = [5, 0, 1, 10, 2, 0, 7]


def features(number: int) -> list[Feature]:
    return [Feature(name=f"f{i}") for i in range(number)]


def network(number: int, outputs: int, **options: object) -> PCNN:
    built = build_network("pcnn", {"parts": Collection(limit=100, features=features(number))}, outputs, options)
    assert isinstance(built, PCNN)
    return built


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def ragged(counts: list[int], width: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    offsets = torch.tensor([0, *counts]).cumsum(0)
    return torch.randn(int(offsets[-1]), width, dtype=torch.float64), offsets


def test_parameters_are_those_of_the_paper() -> None:
    # arXiv 1902.08570 and arXiv 1902.09914: 348k with the seven features of top tagging
    assert parameters(network(7, 2)) == 348_386


def test_parameters_of_the_comparison_on_jetclass() -> None:
    # arXiv 2202.03772: 354k with 17 features and 10 classes. The code published with it also has biases before
    # batch normalisations, which do nothing, and normalises the inputs, which the tagger's scaling does here.
    jetclass = network(17, 10)
    biases = sum(module.linear.out_features for module in jetclass.modules() if isinstance(module, Convolution))
    assert parameters(jetclass) + biases + 2 * 17 == 354_540


def test_fourteen_layers() -> None:
    built = network(7, 2)
    convolutions = [module for module in built.modules() if isinstance(module, Convolution)]
    assert len(convolutions) + len([layer for layer in built.dense if isinstance(layer, nn.Linear)]) == 14
    assert [unit.halve for unit in built.towers["parts"].units] == [False, False, True, False, True, False]


@settings(deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=12))
def test_every_second_constituent_of_each_row(counts: list[int]) -> None:
    values, offsets = ragged(counts)
    kept, shorter = every_second(offsets)
    expected = [values[a:b][::2] for a, b in pairwise(offsets)]
    assert torch.equal(values[kept], torch.cat(expected))
    assert shorter.diff().tolist() == [len(part) for part in expected]


@settings(deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=12))
def test_neighbours_are_those_of_the_row(counts: list[int]) -> None:
    values, offsets = ragged(counts)
    nothing = torch.zeros(1, 3, dtype=torch.float64)
    expected = []
    for a, b in pairwise(offsets):
        row = torch.cat([nothing, values[a:b], nothing])
        expected += [torch.cat(list(row[i : i + 3])) for i in range(b - a)]
    found = neighbours(values, offsets)
    assert found.shape == (len(values), 9)
    if expected:
        assert torch.equal(found, torch.stack(expected))


@pytest.mark.parametrize("counts", [COUNTS, [1], [1, 1], [3]])
def test_gradient_of_neighbours(counts: list[int]) -> None:
    values, offsets = ragged(counts)
    assert torch.autograd.gradcheck(lambda v: neighbours(v, offsets), values.requires_grad_())


def convolved(layer: Convolution, row: torch.Tensor, stride: int = 1) -> torch.Tensor:
    """The layer by torch's own convolution, on (1, C, L)."""
    weight = layer.linear.weight.view(layer.linear.out_features, 3, -1).transpose(1, 2)
    return torch.relu(layer.norm(nn.functional.conv1d(row, weight, stride=stride, padding=1)[0].T)).T[None]


def went_through(unit: Unit, row: torch.Tensor) -> torch.Tensor:
    stride = 2 if unit.halve else 1
    short = row[:, :, ::stride]
    if isinstance(unit.shortcut, nn.Linear):
        short = nn.functional.conv1d(short, unit.shortcut.weight[:, :, None])
    return short + convolved(unit.two, convolved(unit.one, row, stride))


def test_a_tower_is_the_convolutions_of_torch_row_by_row() -> None:
    torch.manual_seed(1)
    tower = Tower(3, [4, 6, 6, 6, 5], per_stage=2).double()
    tower(*ragged([30, 20, 25]))  # so that the running means are not 0
    tower.eval()
    values, offsets = ragged(COUNTS)
    expected = []
    for a, b in pairwise(offsets):
        if a == b:
            expected.append(torch.zeros(5, dtype=torch.float64))
            continue
        row = convolved(tower.first, values[a:b].T[None])
        for unit in tower.units:
            row = went_through(unit, row)
        expected.append(row[0].mean(dim=1))
    torch.testing.assert_close(tower(values, offsets), torch.stack(expected))


def test_flat_groups_and_other_collections_go_to_the_dense_layer() -> None:
    inputs = {
        "tracks": Collection(limit=9, features=features(7)),
        "vertices": Collection(limit=9, features=features(7)),
        "jet": Group(features=features(5)),
    }
    two, one = build_network("pcnn", inputs, 2, {}), network(7, 2)
    assert parameters(two) == parameters(one) + parameters(one.towers) + (128 + 5) * 512


def test_sizes_are_options() -> None:
    small = network(7, 2, stem=16, units=[32, 32, 64], per_stage=1, dense=[64], dropout=0.0)
    assert [unit.halve for unit in small.towers["parts"].units] == [False, True, True]
    assert small.output[0].in_features == 64
    assert [type(layer).__name__ for layer in small.dense] == ["Linear", "ReLU"]


def test_without_a_collection_there_is_one_clear_error() -> None:
    with pytest.raises(CollidekitError, match="pcnn: the analysis has no collection of constituents; take mlp"):
        build_network("pcnn", {"jet": Group(features=features(2))}, 2, {})
