"""The transformer: sizes of GN2, what must not change a score, and what it says of constituents and their pairs."""

from collections.abc import Mapping
from itertools import combinations, pairwise

import pytest
import torch
from attrs import evolve

from collidekit.analysis.features import Feature
from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis, Collection, Group
from collidekit.dataset.batch import Batch, Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.models import Tagger, build_network, target_heads
from collidekit.models.transformer import Sets, Transformer

GN2 = {"norm": "LayerNorm", "gated": False, "activation": "relu", "registers": 1}
SMALL = {"width": 8, "layers": 2, "heads": 2, "feed_forward": 12, "latent": 6, "head": [10, 7], "registers": 3}
COUNTS = {"tracks": [3, 0, 1, 5, 2], "vertices": [1, 0, 0, 2, 4]}


def features(number: int) -> list[Feature]:
    return [Feature(name=f"f{i}") for i in range(number)]


def dense(*sizes: int) -> int:
    return sum(a * b + b for a, b in pairwise(sizes))


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def analysis() -> Analysis:
    text = """
classes: {b: x == 0, c: x == 1, light: x == 2}
inputs:
  tracks: {limit: 9, features: [pt, d0, z0]}
  vertices: {limit: 4, features: [mass, lxy]}
  jet: {features: [jet_pt, jet_eta]}
targets:
  origin: {collection: tracks, classes: {p: o == 0, q: o == 1, r: o == 2, s: o == 3}}
  vertex: {collection: tracks, same: v}
  fake: {collection: vertices, classes: {real: f == 0, fake: f == 1}}
"""
    return parse_analysis(text)[0]


@pytest.fixture
def inputs() -> dict[str, Input]:
    torch.manual_seed(1)
    found: dict[str, Input] = {
        name: Ragged(torch.randn(sum(counts), width), torch.tensor([0, *counts]).cumsum(0), width)
        for (name, counts), width in zip(COUNTS.items(), (3, 2), strict=True)
    }
    return {**found, "jet": torch.randn(5, 2)}


def batch(inputs: Mapping[str, Input]) -> Batch:
    zeros = torch.zeros(5, dtype=torch.int64)
    return Batch(
        inputs=dict(inputs), labels=zeros, weights=torch.ones(5), spectators={}, event={}, keys=zeros, processes=zeros,
        source=zeros[:, None].repeat(1, 2), index=zeros,
    )  # fmt: skip


@pytest.fixture
def tagger(analysis: Analysis) -> Tagger:
    torch.manual_seed(2)
    return Tagger(analysis, build_network("transformer", analysis.inputs, 3, SMALL)).double().eval()


def network(analysis: Analysis, seed: int = 2, **options: object) -> Transformer:
    torch.manual_seed(seed)
    built = build_network("transformer", analysis.inputs, 3, {**SMALL, **options})
    assert isinstance(built, Transformer)
    return built.double().eval()


def test_parameters_are_those_of_gn2() -> None:
    """Salt's GN2.yaml: 19 variables of a track and 2 of the jet; 4 jet classes, 8 origins, vertexing."""
    text = """
classes: {b: x == 0, c: x == 1, u: x == 2, tau: x == 3}
inputs: {tracks: {limit: 40, features: [TRACK]}, jets: {features: [pt, eta]}}
targets:
  track_origin: {collection: tracks, classes: {CLASSES}, weight: 0.5}
  track_vertexing: {collection: tracks, same: v, weight: 1.5}
"""
    text = text.replace("TRACK", ", ".join(f"v{i}" for i in range(19)))
    text = text.replace("CLASSES", ", ".join(f"o{i}: o == {i}" for i in range(8)))
    analysis, _ = parse_analysis(text)
    tagger = Tagger(analysis, build_network("transformer", analysis.inputs, 4, GN2))
    embedding = dense(21, 256, 256)
    block = dense(256, 3 * 256) + dense(256, 256) + dense(256, 512, 256) + 2 * 2 * 256
    encoder = 256 + 4 * block + dense(256, 128) + 2 * 128
    pooling, jet = dense(128, 1), dense(128, 128, 64, 32, 4)
    assert parameters(tagger.network) == embedding + encoder + pooling + jet == 2_240_357
    origin, vertexing = dense(128 + 128, 128, 64, 32, 8), dense(2 * 128 + 128, 128, 64, 32, 1)
    assert tagger.target_heads is not None
    assert parameters(tagger.target_heads.heads["track_origin"]) == origin
    assert parameters(tagger.target_heads.heads["track_vertexing"]) == vertexing
    assert parameters(tagger) == 2_343_502


def test_defaults_of_the_small_one() -> None:
    entry = {"tracks": Collection(limit=9, features=features(5)), "jet": Group(features=features(2))}
    small = build_network("transformer_small", entry, 2, {})
    block = dense(64, 192) + dense(64, 64) + dense(64, 256) + dense(128, 64) + 2 * 64
    own = dense(7, 64, 64) + 4 * 64 + 2 * block + dense(64, 64) + 64 + dense(64, 1) + dense(64, 64, 32, 2)
    assert parameters(small) == own
    assert own < parameters(build_network("transformer", entry, 2, {})) / 20


def by_hand(model: Transformer, inputs: Mapping[str, Input], row: int) -> torch.Tensor:
    """The formulas of the paper for one row, without packing and without the fused attention."""
    jet = inputs["jet"][row]  # type: ignore[index]
    members = []
    for name, embedding in model.embeddings.items():
        entry = inputs[name]
        assert isinstance(entry, Ragged)
        own = entry.values[entry.offsets[row] : entry.offsets[row + 1]].double()
        members.append(embedding(torch.cat([own, jet.double().expand(len(own), -1)], dim=1)))
    x = torch.cat([*members, model.registers])
    for block in model.blocks:
        q, k, v = block.queries_keys_values(block.norm_attention(x)).chunk(3, dim=1)  # type: ignore[operator]
        heads = [torch.softmax(a @ b.T / a.shape[1] ** 0.5, 1) @ c for a, b, c in
                 zip(*(part.chunk(block.heads, dim=1) for part in (q, k, v)), strict=True)]  # type: ignore[arg-type]  # fmt: skip
        x = x + block.mix(torch.cat(heads, dim=1))  # type: ignore[operator]
        y = block.norm_feed_forward(x)  # type: ignore[operator]
        hidden, gate = block.feed_forward.inner(y).chunk(2, dim=1)  # type: ignore[operator, union-attr]
        x = x + block.feed_forward.outer(torch.nn.functional.silu(hidden) * gate)  # type: ignore[operator, union-attr]
    z = model.norm(model.project(x))
    return model.output((torch.softmax(model.score(z), dim=0) * z).sum(dim=0))  # type: ignore[no-any-return]


@torch.no_grad()
def test_outputs_by_hand(analysis: Analysis, inputs: dict[str, Input]) -> None:
    model = network(analysis)
    found = model({name: entry.to("cpu", torch.float64) for name, entry in inputs.items()})
    assert found.std(dim=0).min() > 1e-3
    for row in range(5):
        torch.testing.assert_close(found[row], by_hand(model, inputs, row))


@torch.no_grad()
def test_every_option_changes_something(analysis: Analysis, inputs: dict[str, Input]) -> None:
    double = {name: entry.to("cpu", torch.float64) for name, entry in inputs.items()}
    first = network(analysis)(double)
    for options in ({"heads": 4}, {"gated": False}, {"norm": "LayerNorm"}, {"activation": "gelu"}, {"registers": 2}):
        assert not torch.allclose(network(analysis, **options)(double), first, atol=1e-4), options
    wild = network(analysis, dropout=0.3).train()
    assert not torch.equal(wild(double), wild(double))
    assert torch.equal(wild.eval()(double), first)


def test_members_of_several_collections_become_one_set() -> None:
    offsets = {name: torch.tensor([0, *counts]).cumsum(0) for name, counts in COUNTS.items()}
    sets = Sets.of(offsets)
    rows = torch.cat([torch.repeat_interleave(torch.arange(5), own.diff()) for own in offsets.values()])
    together = torch.tensor(COUNTS["tracks"]) + torch.tensor(COUNTS["vertices"])
    assert sets.packing.rows.tolist() == [3, 4, 0, 2, 1]
    assert sets.offsets.diff().tolist() == together[sets.packing.rows].tolist()
    assert rows[sets.order].tolist() == torch.repeat_interleave(sets.packing.rows, sets.offsets.diff()).tolist()
    assert sets.order[torch.cat(list(sets.places.values()))].tolist() == list(range(len(rows)))


@torch.no_grad()
def test_prediction_gives_the_outputs_that_training_sees(tagger: Tagger, inputs: dict[str, Input]) -> None:
    outputs, logits = tagger(batch(inputs), with_targets=True)
    assert torch.equal(tagger(batch(inputs)), outputs)
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        "origin": (11, 4), "vertex": (3 + 10 + 1,), "fake": (7, 2),
    }  # fmt: skip


@torch.no_grad()
def test_targets_of_a_row_depend_on_nothing_else(tagger: Tagger, inputs: dict[str, Input]) -> None:
    whole = tagger(batch(inputs), with_targets=True)[1]
    alone = [tagger(batch(inputs).slice(i, i + 1), with_targets=True)[1] for i in range(5)]
    for name, values in whole.items():
        torch.testing.assert_close(torch.cat([logits[name] for logits in alone]), values)


@torch.no_grad()
def test_targets_follow_their_constituents(tagger: Tagger, inputs: dict[str, Input]) -> None:
    """Tracks in another order: their logits move along, and those of a pair do not depend on who comes first."""
    before = tagger(batch(inputs), with_targets=True)[1]
    tracks = inputs["tracks"]
    assert isinstance(tracks, Ragged)
    order = torch.tensor([2, 0, 1, 3, 8, 6, 4, 7, 5, 10, 9])
    moved = {**inputs, "tracks": evolve(tracks, data=tracks.data[order])}
    after = tagger(batch(moved), with_targets=True)[1]
    torch.testing.assert_close(after["origin"], before["origin"][order])
    torch.testing.assert_close(after["fake"], before["fake"])
    pairs = [pair for a, b in pairwise(tracks.offsets.tolist()) for pair in combinations(range(a, b), 2)]
    places = [pairs.index(tuple(sorted((int(order[i]), int(order[j]))))) for i, j in pairs]  # type: ignore[arg-type]
    assert before["vertex"].std() > 1e-3
    torch.testing.assert_close(after["vertex"], before["vertex"][places])


def test_pairs_in_parts_are_the_same(tagger: Tagger, inputs: dict[str, Input], monkeypatch: pytest.MonkeyPatch) -> None:
    def gradients() -> tuple[torch.Tensor, list[torch.Tensor]]:
        tagger.zero_grad()
        logits = tagger(batch(inputs), with_targets=True)[1]["vertex"]
        logits.square().sum().backward()
        return logits.detach(), [p.grad.clone() for p in tagger.parameters() if p.grad is not None]

    logits, whole = gradients()
    monkeypatch.setattr(target_heads, "PAIRS", 4)
    again, parts = gradients()
    torch.testing.assert_close(again, logits)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)


def test_a_network_without_embeddings_says_nothing_of_targets(analysis: Analysis, inputs: dict[str, Input]) -> None:
    tagger = Tagger(analysis, build_network("pcnn", analysis.inputs, 3, {"stem": 4, "units": [4], "dense": [4]}))
    outputs, logits = tagger(batch(inputs), with_targets=True)
    assert (outputs.shape, logits, tagger.target_heads) == ((5, 3), {}, None)


@torch.no_grad()
def test_bfloat16_in_whole_blocks(tagger: Tagger, inputs: dict[str, Input]) -> None:
    tagger = tagger.float()
    full, said = tagger(batch(inputs), with_targets=True)
    with torch.autocast("cpu", torch.bfloat16):
        half, also = tagger(batch(inputs), with_targets=True)
    torch.testing.assert_close(half.softmax(1), full.softmax(1), rtol=0, atol=0.03)
    for name, values in said.items():
        torch.testing.assert_close(also[name].float().sigmoid(), values.sigmoid(), rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 10, "heads": 4}, "network transformer: width 10 cannot be shared by 4 heads; take a multiple of 4"),
        ({"registers": 0}, "needs at least one register, because a row may have no constituents"),
        ({"norm": "RMSnorm"}, r"'RMSnorm' is not known \(did you mean 'RMSNorm'\?\); known are RMSNorm, LayerNorm"),
        ({"activation": "swish"}, "'swish' is not known; known are relu, gelu, silu, elu"),
    ],
)
def test_wrong_options(analysis: Analysis, options: dict[str, object], message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        build_network("transformer", analysis.inputs, 3, options)


def test_without_a_collection_there_is_one_clear_error(analysis: Analysis) -> None:
    with pytest.raises(CollidekitError, match="the analysis has no collection of constituents; take mlp"):
        build_network("transformer", analysis.groups, 3, {})
