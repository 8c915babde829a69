"""DeepJet: sizes of the reference code and of b-hive, and an LSTM over ragged rows that is the LSTM row by row."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Collection, Group
from collidekit.dataset.batch import Ragged
from collidekit.errors import CollidekitError
from collidekit.models import Network, build_network
from collidekit.models.constituent_layers import BatchNorm, ConstituentLinear
from collidekit.models.deepjet import last_states
from collidekit.models.layers import whole_blocks


def features(number: int) -> list[Feature]:
    return [Feature(name=f"f{i}") for i in range(number)]


def collections(**sizes: int) -> dict[str, Collection | Group]:
    return {name: Collection(limit=50, features=features(size)) for name, size in sizes.items()}


PAPER = {**collections(charged=16, neutral=6, vertices=12), "jet": Group(features=features(15))}
"""Features of the reference code (Run 2)."""


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def norm(width: int) -> int:
    return 2 * width


def layers(*sizes: int, last_is_normalised: bool) -> int:
    weights = sum(a * b + b for a, b in pairwise(sizes))
    return weights + sum(norm(size) for size in (sizes[1:] if last_is_normalised else sizes[1:-1]))


def branch(size: int, sizes: tuple[int, ...], units: int) -> int:
    recurrent = 4 * units * (sizes[-1] + units + 2)
    return norm(size) + layers(size, *sizes, last_is_normalised=False) + recurrent + norm(units)


def rows(**counts: list[int]) -> dict[str, Ragged]:
    found = {}
    for name, numbers in counts.items():
        offsets = torch.tensor([0, *numbers]).cumsum(0)
        size = {"charged": 16, "neutral": 6, "vertices": 12}[name]
        found[name] = Ragged(torch.randn(int(offsets[-1]), size, dtype=torch.float64), offsets, size)
    return found


def test_parameters_of_the_paper() -> None:
    # https://github.com/DL4Jets/DeepJet, model_deepFlavourReference: convolutions 64, 32, 32, 8 and 32, 16, 4 and
    # 64, 32, 32, 8, LSTMs 150, 50, 50, dense 200 and seven times 100, six classes
    expected = branch(16, (64, 32, 32, 8), 150) + branch(6, (32, 16, 4), 50) + branch(12, (64, 32, 32, 8), 50)
    expected += norm(15) + layers(150 + 50 + 50 + 15, 200, *[100] * 7, last_is_normalised=True) + 100 * 6 + 6
    assert expected == 266_252
    assert parameters(build_network("deepjet", PAPER, 6, {})) == expected


def test_parameters_of_b_hive() -> None:
    # b-hive's log says 251,722 for 23 features of charged candidates, 11 of vertices and six classes. It counts a batch
    # normalisation after the last convolution of both branches, 2 x 2 x 8, which its forward leaves out.
    inputs = {**collections(charged=23, vertices=11), "jet": Group(features=features(4))}
    assert parameters(build_network("deepjet_hlt", inputs, 6, {})) == 251_722 - 2 * norm(8)


def test_sizes_are_options_by_collection() -> None:
    options = {"branches": {"muons": [7, 5]}, "recurrent": {"muons": 11}, "dense": [13], "flat": False}
    network = build_network("deepjet", {**collections(muons=3), "jet": Group(features=features(2))}, 2, options)
    expected = branch(3, (7, 5), 11) + layers(11, 13, last_is_normalised=True) + 13 * 2 + 2
    assert parameters(network) == expected


@pytest.mark.parametrize("option", ["branches", "recurrent"])
def test_sizes_for_an_unknown_collection(option: str) -> None:
    message = (
        rf"deepjet: {option}: there is no collection 'charge' \(did you mean 'charged'\?\); the analysis has charged"
    )
    with pytest.raises(CollidekitError, match=message):
        build_network("deepjet", collections(charged=3), 2, {option: {"charge": [8] if option == "branches" else 8}})


def test_without_a_collection_there_is_one_clear_error() -> None:
    with pytest.raises(CollidekitError, match="deepjet: the analysis has no collection of constituents; take mlp"):
        build_network("deepjet", {"jet": Group(features=features(2))}, 2, {})


@pytest.mark.parametrize("counts", [[3, 1, 0, 40, 17, 2] * 9, [5], [0, 0], [1000, 1]])
def test_states_are_those_of_each_row_read_backwards(counts: list[int]) -> None:
    torch.manual_seed(1)
    recurrent = nn.LSTM(8, 12, batch_first=True).double()
    offsets = torch.tensor([0, *counts]).cumsum(0)
    values = torch.randn(int(offsets[-1]), 8, dtype=torch.float64, requires_grad=True)
    alone = [
        recurrent(values[a:b].flip(0)[None])[0][0, -1] if b > a else torch.zeros(12, dtype=torch.float64)
        for a, b in pairwise(offsets)
    ]
    states = last_states(recurrent, values, offsets)
    torch.testing.assert_close(states, torch.stack(alone))
    if len(values):
        (expected,) = torch.autograd.grad(torch.stack(alone).square().sum(), values)
        (found,) = torch.autograd.grad(states.square().sum(), values)
        torch.testing.assert_close(found, expected)


def test_the_leading_candidate_is_read_last() -> None:
    """What is read first is half forgotten: the score moves most with the leading candidate."""
    torch.manual_seed(1)
    network = build_network("deepjet", collections(charged=16), 2, {}).double().eval()
    batch = rows(charged=[60])
    values = batch["charged"].data.requires_grad_()
    network(batch)[0, 0].backward()
    sizes = values.grad.norm(dim=1)
    assert sizes[:3].mean() > 10 * sizes[-3:].mean()


def test_collections_may_be_empty_in_some_rows_or_in_all() -> None:
    torch.manual_seed(1)
    network: Network = build_network("deepjet", PAPER, 6, {}).double().eval()
    jet = torch.randn(3, 15, dtype=torch.float64)
    some = {**rows(charged=[4, 0, 2], neutral=[0, 0, 3], vertices=[0, 1, 0]), "jet": jet}
    none = {**rows(charged=[4, 0, 2], neutral=[0, 0, 0], vertices=[0, 0, 0]), "jet": jet}
    assert network(some).isfinite().all()
    assert network(none).isfinite().all()
    network.train()
    assert network(none).isfinite().all()


def test_batch_normalisation_is_that_of_torch_and_leaves_a_single_value() -> None:
    mine, theirs = BatchNorm(3, momentum=0.4), nn.BatchNorm1d(3, momentum=0.4)
    values = torch.randn(10, 3)
    torch.testing.assert_close(mine(values), theirs(values))
    torch.testing.assert_close(mine.running_var, theirs.running_var)
    before = mine.running_mean.clone()
    for few in (values[:1], values[:0]):
        torch.testing.assert_close(mine(few), theirs.eval()(few))
    assert torch.equal(mine.running_mean, before)


@pytest.mark.parametrize("count", [0, 1, 513])
def test_dense_layer_fills_blocks_in_half_precision_only(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ConstituentLinear(3, 5)
    values = torch.randn(count, 3)
    full = layer(values)
    seen = []

    def watched(values: torch.Tensor, offsets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        filled = whole_blocks(values, offsets)
        seen.append(len(filled[0]))
        return filled

    monkeypatch.setattr("collidekit.models.constituent_layers.whole_blocks", watched)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = layer(values)
    assert half.dtype == torch.bfloat16
    assert seen == [-(-count // 512) * 512]
    torch.testing.assert_close(half.float(), full, rtol=0, atol=0.05)
