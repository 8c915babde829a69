"""The padded form of networks with attention gives the numbers of the ragged form."""

from typing import Any

import pytest
import torch
from torch import Tensor

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Ragged
from collidekit.models.network import Network
from collidekit.models.padded import Padded
from collidekit.models.pair_features import padded_pair_features, pair_features
from collidekit.models.registry import build_network

ANALYSIS = """
inputs:
  jets: {limit: 9, momenta: [px, py, pz, e], features: [a, b, c]}
  hits: {limit: 5, features: [d, f]}
  leptons: {limit: 3, momenta: [lx, ly, lz, le], features: [g, h]}
  event: {features: [met, ht]}
classes: {signal: y == 1, background: y == 0}
"""
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("particle_transformer", {"embedding": [8, 16], "pair_embedding": [8], "heads": 4, "layers": 2, "expansion": 2}),
    ("particle_transformer_small", {}),
    ("particle_transformer_small", {"pair_embedding": []}),
    ("pair_transformer", {}),
    ("pair_transformer", {"first": 2, "features": ["c", "a", "h"]}),
    ("pair_transformer", {"first": 0, "pair_activation": "relu", "heads": 4}),
    ("cross_attention", {}),
    ("cross_attention", {"query": ["jets", "leptons"], "registers": 3, "self_attention": False}),
    ("transformer_small", {}),
    ("deepjet_transformer", {}),
    ("deepjet_transformer", {"flat": True, "layers": 1, "width": 16, "heads": 4}),
    ("upart", {}),
]
COUNTS = {"jets": [4, 0, 1, 0, 7], "hits": [2, 3, 0, 0, 5], "leptons": [3, 1, 0, 0, 2]}


def analysis() -> Analysis:
    return parse_analysis(ANALYSIS, "toy.yaml")[0]


def network(name: str, options: dict[str, Any]) -> Network:
    """With weights, norms and running statistics that differ from their first values."""
    torch.manual_seed(1)
    found = build_network(name, analysis().inputs, 2, options).double().eval()
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for buffer_name, buffer in found.named_buffers():
            if buffer_name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer))
    return found


def momenta(number: int) -> Tensor:
    """px, py, pz, E (T, 4) of particles, some of which are near to each other, and one of which does not move."""
    found = torch.randn(number, 3, dtype=torch.float64) * torch.tensor([30.0, 30.0, 100.0])
    found[1::2] = found[0::2][: number // 2] * (1 + 1e-4 * torch.randn(number // 2, 3))
    found[-1:, :2] = 0
    return torch.cat([found, (found.square().sum(dim=1, keepdim=True) + 0.02).sqrt()], dim=1)


def ragged(rows: int) -> dict[str, Any]:
    torch.manual_seed(2)
    inputs: dict[str, Any] = {}
    for name, entry in analysis().collections.items():
        counts = torch.tensor(COUNTS[name][:rows], dtype=torch.int64)
        number, features = int(counts.sum()), len(entry.features)
        columns = [torch.randn(number, features, dtype=torch.float64)]
        if entry.momenta:
            columns.append(momenta(number).float().double())
        offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
        inputs[name] = Ragged(torch.cat(columns, dim=1), offsets, features, bool(entry.momenta))
    return inputs | {"event": torch.randn(rows, 2, dtype=torch.float64)}


def padded(inputs: dict[str, Any], more: int) -> dict[str, Any]:
    """The same rows as blocks, with ``more`` empty slots at the end of each."""
    found = dict(inputs)
    for name, entry in inputs.items():
        if isinstance(entry, Ragged):
            mask = entry.padded(torch.ones(len(entry.data), 1))[..., 0] > 0
            found[name] = Padded(entry.padded(entry.data), mask, entry.num_features, entry.has_momenta).longer(more)
    return found


@torch.no_grad()
@pytest.mark.parametrize("rows", [5, 2, 0])
@pytest.mark.parametrize(("name", "options"), NETWORKS)
def test_both_forms_give_the_same(name: str, options: dict[str, Any], rows: int) -> None:
    inputs, one = ragged(rows), network(name, options)
    wanted = one.embed(inputs)
    for more in (1, 4):
        blocks = padded(inputs, more)
        found = one.padded(blocks)
        torch.testing.assert_close(found.outputs, wanted.outputs, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(found.row, wanted.row, rtol=1e-8, atol=1e-10)
        assert found.constituents.keys() == wanted.constituents.keys()
        for collection, values in found.constituents.items():
            assert values.shape == (*blocks[collection].mask.shape, one.width_of(collection))
            inside = values[blocks[collection].mask]
            torch.testing.assert_close(inside, wanted.constituents[collection], rtol=1e-8, atol=1e-10)
            assert bool(values.isfinite().all())


@torch.no_grad()
@pytest.mark.parametrize(("name", "options"), NETWORKS)
def test_in_single_precision_too(name: str, options: dict[str, Any]) -> None:
    one = network(name, options).float()
    inputs = {
        key: entry.to("cpu", torch.float32) if isinstance(entry, Ragged) else entry.float()
        for key, entry in ragged(5).items()
    }
    torch.testing.assert_close(one.padded(padded(inputs, 2)).outputs, one.embed(inputs).outputs, rtol=1e-5, atol=1e-5)


def test_pair_features_are_the_same() -> None:
    torch.manual_seed(3)
    one, two = momenta(6), torch.cat([momenta(4), torch.zeros(1, 4, dtype=torch.float64)])
    i, j = torch.cartesian_prod(torch.arange(6), torch.arange(6, 11)).unbind(1)
    for kind, close in ((torch.float64, 1e-9), (torch.float32, 2e-6)):
        wanted = pair_features(torch.cat([one, two]).to(kind), i, j).view(6, 5, 4)
        found = padded_pair_features(one[None].to(kind), two[None].to(kind))
        assert found.dtype == kind
        torch.testing.assert_close(found[0], wanted, rtol=close, atol=close)


def test_the_azimuth_of_near_particles_keeps_its_digits() -> None:
    angle = torch.tensor([1e-7, 1e-3, 1.0, 2.0, 3.0, 3.1415], dtype=torch.float64)
    for start in (0.3, 2.5, -3.0):

        def at(phi: Tensor) -> Tensor:
            return torch.stack([50 * phi.cos(), 50 * phi.sin(), 0 * phi, 60 + 0 * phi], dim=1)

        found = padded_pair_features(at(torch.full_like(angle[:1], start))[None], at(start + angle)[None])[0, 0, :, 2]
        torch.testing.assert_close(found, angle.log(), rtol=0, atol=1e-8)


def test_empty_slots_are_finite_and_have_finite_derivatives() -> None:
    zeros = torch.zeros(1, 3, 4, requires_grad=True)
    found = padded_pair_features(zeros, zeros)
    found.sum().backward()
    assert bool(found.isfinite().all())
    assert zeros.grad is not None
    assert bool(zeros.grad.isfinite().all())
