"""ParticleNet: the sizes of the paper, and that what makes it fast gives what the paper says."""

from itertools import pairwise

import pytest
import torch
from attrs import evolve
from torch import Tensor, nn

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Collection, Group
from collidekit.dataset.batch import Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.models import build_network, edge_means
from collidekit.models.network import Inputs
from collidekit.models.particlenet import ParticleNet

COUNTS = [12, 0, 1, 30, 2, 5, 6, 4, 17, 1, 30, 3]
"""Constituents of the rows: with k = 5, some have fewer neighbours than that."""
SIZES = {"k": 5, "widths": [8, 12], "dense": [10], "dropout": 0.0}


def collection(number: int, coordinates: bool = True) -> Collection:
    features = [Feature(name=f"f{i}") for i in range(number)]
    return Collection(limit=100, features=features, coordinates=["eta", "phi"] if coordinates else None)


def constituents(counts: list[int], features: int = 4, seed: int = 1) -> Ragged:
    generator = torch.Generator().manual_seed(seed)
    data = torch.randn(sum(counts), features + 2, generator=generator, dtype=torch.float64)
    return Ragged(data, torch.tensor([0, *counts]).cumsum(0), features)


@pytest.fixture
def tracks() -> Ragged:
    return constituents(COUNTS)


def build(inputs: Inputs | None = None, name: str = "particlenet", **options: object) -> ParticleNet:
    """In double precision, with factors of the normalisations of both signs."""
    torch.manual_seed(2)
    network = build_network(name, inputs or {"tracks": collection(4)}, 2, options)
    assert isinstance(network, ParticleNet)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.double()


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# The paper, word for word: a loop over rows and constituents


def neighbours_of(points: Tensor, k: int) -> list[Tensor]:
    """The nearest of each of the points of one row (n, D)."""
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    distances.fill_diagonal_(float("inf"))
    return [row.argsort()[: min(k, len(points) - 1)] for row in distances]


def plain_norm(norm: nn.BatchNorm1d, values: Tensor) -> Tensor:
    mean, variance = norm.running_mean, norm.running_var
    if norm.training:
        mean, variance = values.mean(0), values.var(0, correction=0)
    return (values - mean) / torch.sqrt(variance + norm.eps) * norm.weight + norm.bias


def plain_block(block: nn.Module, values: Tensor, points: Tensor, offsets: Tensor, k: int) -> Tensor:
    edges, ends = [], [0]
    for first, last in pairwise(offsets.tolist()):
        for i, chosen in enumerate(neighbours_of(points[first:last].detach(), k)):
            centre = values[first + i].expand(len(chosen), -1)
            edges.append(torch.cat([centre, values[first + chosen] - centre], dim=1))
            ends.append(ends[-1] + len(chosen))
    hidden = torch.cat(edges)
    for layer, norm in zip(block.layers, block.norms, strict=True):
        hidden = torch.relu(plain_norm(norm, hidden @ layer.weight.T))
    means = [hidden[a:b].mean(0) if b > a else hidden.new_zeros(hidden.shape[1]) for a, b in pairwise(ends)]
    shortcut = values
    if len(block.shortcut):
        shortcut = plain_norm(block.shortcut[1], values @ block.shortcut[0].weight.T)
    return torch.relu(shortcut + torch.stack(means))


def plain(network: ParticleNet, tracks: Ragged) -> Tensor:
    values, points, offsets, levels = plain_norm(network.norm, tracks.values), tracks.coordinates, tracks.offsets, []
    for block in network.blocks:
        values = plain_block(block, values, points, offsets, network.k)
        points = values
        levels.append(values)
    if network.fusion is not None:
        values = torch.relu(plain_norm(network.fusion[1], torch.cat(levels, dim=1) @ network.fusion[0].weight.T))
    means = [values[a:b].mean(0) if b > a else values.new_zeros(values.shape[1]) for a, b in pairwise(offsets.tolist())]
    return network.output(network.dense(torch.stack(means)))


def with_gradients(forward, network: ParticleNet, tracks: Ragged) -> tuple[Tensor, list[Tensor]]:
    """Outputs, and the gradients of the data and the parameters."""
    data = tracks.data.clone().requires_grad_()
    outputs = forward(evolve(tracks, data=data))
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).view(outputs.shape)
    return outputs, list(torch.autograd.grad((outputs * weights).sum(), [data, *network.parameters()]))


@pytest.mark.parametrize("options", [{}, {"fusion": True}, {"widths": [4, 4], "layers": 2}, {"layers": 4}])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("chunk", [2**18, 100])
def test_outputs_and_gradients_are_those_of_the_plain_network(tracks, options, training, chunk, monkeypatch) -> None:
    monkeypatch.setattr(edge_means, "CHUNK", chunk)
    network = build(**(SIZES | options)).train(training)
    expected, expected_gradients = with_gradients(lambda x: plain(network, x), network, tracks)
    found, gradients = with_gradients(lambda x: network({"tracks": x}), network, tracks)
    assert expected.std(dim=0).min() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    for (name, _), one, other in zip(
        [("data", None), *network.named_parameters()], gradients, expected_gradients, strict=True
    ):
        if name != "norm.bias":  # in training, the normalisations after it take any shift out
            assert other.abs().max() > 1e-5, name
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


def test_without_gradients_the_outputs_are_the_same(tracks) -> None:
    network = build(**SIZES).eval()
    with torch.no_grad():
        torch.testing.assert_close(network({"tracks": tracks}), plain(network, tracks), rtol=1e-9, atol=1e-9)


def test_running_means_and_variances_are_those_of_real_edges(tracks) -> None:
    network = build(**SIZES).train()
    block = network.blocks[0]
    values = plain_norm(network.norm, tracks.values)
    edges = []
    for first, last in pairwise(tracks.offsets.tolist()):
        for i, chosen in enumerate(neighbours_of(tracks.coordinates[first:last], network.k)):
            centre = values[first + i].expand(len(chosen), -1)
            edges.append(torch.cat([centre, values[first + chosen] - centre], dim=1))
    means, variances = block.norms[0].running_mean.clone(), block.norms[0].running_var.clone()
    first_layer = torch.cat(edges) @ block.layers[0].weight.T
    network({"tracks": tracks})
    torch.testing.assert_close(block.norms[0].running_mean, 0.9 * means + 0.1 * first_layer.mean(0))
    torch.testing.assert_close(block.norms[0].running_var, 0.9 * variances + 0.1 * first_layer.var(0))
    assert [norm.num_batches_tracked.item() for norm in block.norms] == [1, 1, 1]


def test_single_precision_is_close_to_double(tracks) -> None:
    network = build(**SIZES).train()
    expected, expected_gradients = with_gradients(lambda x: network({"tracks": x}), network, tracks)
    single = network.float()
    found, gradients = with_gradients(lambda x: single({"tracks": x}), single, tracks.to("cpu", torch.float32))
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
    for one, other in zip(gradients, expected_gradients, strict=True):
        assert (one - other).norm() < 1e-3 * other.norm() + 1e-4


def test_parameters_are_those_of_the_paper() -> None:
    # arXiv 1902.08570, table 4: 366 k and 26 k, with 7 features and 2 classes. weaver's ParticleNet without fusion has
    # exactly 366,160 and 26,416.
    inputs = {"constituents": collection(7)}
    assert parameters(build_network("particlenet", inputs, 2, {})) == 366_160
    assert parameters(build_network("particlenet_lite", inputs, 2, {})) == 26_416


def test_parameters_with_fusion_and_several_collections() -> None:
    # weaver's ParticleNet(7, 2, fusion) and ParticleNetTagger(7, 5, 2, no fusion), with the sizes of the paper
    assert parameters(build_network("particlenet", {"constituents": collection(7)}, 2, {"fusion": True})) == 571_728
    inputs = {"tracks": collection(7), "vertices": collection(5)}
    assert parameters(build_network("particlenet", inputs, 2, {})) == 371_546


def test_groups_join_the_mean(tracks) -> None:
    inputs = {"tracks": collection(4), "jet": Group(features=[Feature(name="pt")])}
    network = build(inputs, **SIZES).eval()
    assert parameters(network) == parameters(build(**SIZES)) + 10
    flat = torch.zeros(len(tracks), 1, dtype=torch.float64)
    entries: dict[str, Input] = {"tracks": tracks, "jet": flat}
    moved = network({**entries, "jet": flat + torch.eye(len(tracks), dtype=torch.float64)[:, :1]})
    change = (moved - network(entries)).abs().amax(dim=1)
    assert change[0] > 1e-3
    assert change[1:].max() == 0


def test_several_collections_form_one_cloud(tracks) -> None:
    """Two collections of the same features and weights are one, whose constituents stand in two places."""
    network = build({"tracks": collection(4), "vertices": collection(4)}, **SIZES).eval()
    network.embeddings["vertices"].load_state_dict(network.embeddings["tracks"].state_dict())
    whole, nothing = constituents([9, 3, 7], seed=4), constituents([0, 0, 0])
    split = (whole.data[:9], whole.data[9:12], whole.data[12:])
    some = Ragged(torch.cat([split[0][:4], split[2][:6]]), torch.tensor([0, 4, 4, 10]), 4)
    others = Ragged(torch.cat([split[0][4:], split[1], split[2][6:]]), torch.tensor([0, 5, 8, 9]), 4)
    together = network({"tracks": whole, "vertices": nothing})
    torch.testing.assert_close(network({"tracks": some, "vertices": others}), together, rtol=0, atol=1e-10)
    assert (network({"tracks": some, "vertices": nothing}) - together).abs().max() > 1e-3


def test_embeddings_stand_in_the_order_of_the_constituents() -> None:
    network = build({"tracks": collection(4), "vertices": collection(3)}, **SIZES).eval()
    inputs: dict[str, Input] = {"tracks": constituents([3, 0, 9]), "vertices": constituents([1, 2, 0], 3)}
    found = network.embed(inputs)
    assert found.outputs.equal(network(inputs))
    assert found.row.shape == (3, network.row_width)
    assert {name: tuple(x.shape) for name, x in found.constituents.items()} == {"tracks": (12, 12), "vertices": (3, 12)}
    last = {name: entry.slice(2, 3) for name, entry in inputs.items() if isinstance(entry, Ragged)}
    torch.testing.assert_close(network.embed(last).constituents["tracks"], found.constituents["tracks"][3:])


def test_neighbours_are_those_of_the_coordinates(tracks) -> None:
    """In the first block; coordinates are not features."""
    network = build(**(SIZES | {"widths": [8]})).eval()
    scaled = evolve(tracks, data=torch.cat([tracks.values, 3 * tracks.coordinates], dim=1))
    torch.testing.assert_close(network({"tracks": scaled}), network({"tracks": tracks}), rtol=0, atol=1e-12)
    one_axis = evolve(tracks, data=tracks.data * torch.tensor([1, 1, 1, 1, 1, 0]))
    assert (network({"tracks": one_axis}) - network({"tracks": tracks})).abs().max() > 1e-3


def test_a_score_in_single_precision_does_not_depend_on_the_batch() -> None:
    """Not even by the choice between neighbours that are equally near: coordinates are on a grid, as in a calorimeter."""
    counts = [40, 38, 37, 21, 20, 19, 8, 3, 40]
    tracks = constituents(counts).to("cpu", torch.float32)
    tracks = evolve(tracks, data=torch.cat([tracks.values, (2 * tracks.coordinates).round()], dim=1))
    network = build(**SIZES).float().eval()
    with torch.no_grad():
        together = network({"tracks": tracks})
        alone = torch.cat([network({"tracks": tracks.slice(i, i + 1)}) for i in range(len(tracks))])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-5)


def test_a_second_way_back_is_refused(tracks) -> None:
    """What is kept of the edges makes room for their gradients."""
    loss = build(**SIZES).train()({"tracks": tracks}).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_bfloat16_keeps_two_digits(tracks) -> None:
    network = build(**SIZES).float().train()
    single = tracks.to("cpu", torch.float32)
    expected, expected_gradients = with_gradients(lambda x: network({"tracks": x}), network, single)

    def forward(entry: Ragged) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return network({"tracks": entry})

    found, gradients = with_gradients(forward, network, single)
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1)
    assert not found.equal(expected)
    for one, other in zip(gradients, expected_gradients, strict=True):
        assert (one - other).norm() < 0.2 * other.norm() + 0.05


def test_weights_in_bfloat16(tracks) -> None:
    network = build(**SIZES).train().to(torch.bfloat16)
    outputs = network({"tracks": tracks.to("cpu", torch.bfloat16)})
    outputs.sum().backward()
    assert outputs.dtype == torch.bfloat16
    assert all(p.grad.isfinite().all() and p.grad.dtype == p.dtype for p in network.parameters())


def test_learns_which_constituents_are_neighbours() -> None:
    """Pairs of near constituents of the same sign against those of opposite sign: features alone say nothing."""
    generator = torch.Generator().manual_seed(0)
    rows = 400
    labels = torch.randint(0, 2, (rows,), generator=generator)
    places = torch.rand(rows, 6, 1, 2, generator=generator).expand(-1, -1, 2, -1)
    near = places + 0.01 * torch.randn(rows, 6, 2, 2, generator=generator)
    charge = torch.randint(0, 2, (rows, 6, 1, 1), generator=generator).float() * 2 - 1
    partner = charge * (2 * labels.view(-1, 1, 1, 1) - 1)
    data = torch.cat([torch.cat([charge, partner], dim=2), near], dim=3).view(-1, 3)
    data = torch.cat([data[:, :1], data], dim=1)
    pairs = Ragged(data, torch.arange(rows + 1) * 12, 2)
    torch.manual_seed(0)
    network = build_network("particlenet_lite", {"tracks": collection(2)}, 2, {"k": 1, "widths": [8]})
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(30):
        loss = nn.functional.cross_entropy(network({"tracks": pairs.slice(0, 300)}), labels[:300])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = network.eval()({"tracks": pairs.slice(300, 400)}).argmax(dim=1)
    assert (found == labels[300:]).float().mean() > 0.95


def test_without_coordinates_there_is_one_clear_error() -> None:
    inputs = {"tracks": collection(2), "vertices": collection(2, coordinates=False)}
    with pytest.raises(CollidekitError, match=r"particlenet: inputs.vertices has no coordinates, in which"):
        build_network("particlenet", inputs, 2, {})


def test_without_a_collection_there_is_one_clear_error() -> None:
    with pytest.raises(CollidekitError, match=r"particlenet_lite: the analysis has no collection .*; take mlp"):
        build_network("particlenet_lite", {"jet": Group(features=[Feature(name="pt")])}, 2, {})


@pytest.mark.parametrize("options", [{"k": 0}, {"layers": 1}, {"widths": []}])
def test_sizes_that_are_no_network(options) -> None:
    with pytest.raises(CollidekitError, match=r"needs k of at least 1, two layers or more, and one of widths or more"):
        build_network("particlenet", {"tracks": collection(2)}, 2, options)
