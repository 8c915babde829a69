"""Cross-attention: who looks at whom, by hand and by what changes; what must not change a score is in test_invariances."""

import pytest
import torch

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.models import build_network
from collidekit.models.cross_attention import CrossAttention

SMALL = {"width": 8, "layers": 2, "heads": 2, "feed_forward": 12, "latent": 6, "head": [10], "registers": 2}
COUNTS = {"jets": [3, 0, 1, 5, 2, 0], "leptons": [2, 2, 0, 1, 2, 0], "photons": [0, 1, 0, 1, 0, 0]}
ROWS = 6


@pytest.fixture
def analysis() -> Analysis:
    text = """
classes: {b: x == 0, c: x == 1}
inputs:
  jets: {limit: 9, features: [pt, d0, z0]}
  leptons: {limit: 2, features: [lpt, leta]}
  photons: {limit: 4, features: [ppt]}
  event: {features: [met_x, met_y]}
"""
    return parse_analysis(text)[0]


@pytest.fixture
def inputs() -> dict[str, Input]:
    torch.manual_seed(1)
    found: dict[str, Input] = {
        name: Ragged(torch.randn(sum(counts), width).double(), torch.tensor([0, *counts]).cumsum(0), width)
        for (name, counts), width in zip(COUNTS.items(), (3, 2, 1), strict=True)
    }
    return {**found, "event": torch.randn(ROWS, 2).double()}


def network(analysis: Analysis, **options: object) -> CrossAttention:
    torch.manual_seed(2)
    built = build_network("cross_attention", analysis.inputs, 2, {**SMALL, **options})
    assert isinstance(built, CrossAttention)
    return built.double().eval()


def part(inputs: dict[str, Input], name: str, row: int) -> torch.Tensor:
    entry = inputs[name]
    assert isinstance(entry, Ragged)
    return entry.values[entry.offsets[row] : entry.offsets[row + 1]]


def by_hand(model: CrossAttention, inputs: dict[str, Input], row: int) -> torch.Tensor:
    """Two separate sets that look at each other by rectangular attention, without packing and masks."""
    event = inputs["event"][row]  # type: ignore[index]
    own = {
        name: embedding(torch.cat([part(inputs, name, row), event.expand(COUNTS[name][row], -1)], dim=1))
        for name, embedding in model.embeddings.items()
    }
    one = torch.cat([*(own[name] for name in model.query), model.registers[::2]])
    other = torch.cat([*(x for name, x in own.items() if name not in model.query), model.registers[1::2]])

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int) -> torch.Tensor:
        cut = [tensor.chunk(heads, dim=1) for tensor in (q, k, v)]
        return torch.cat([torch.softmax(a @ b.T / a.shape[1] ** 0.5, 1) @ c for a, b, c in zip(*cut, strict=True)], 1)

    for block in model.blocks:
        if block.within:
            sides = []
            for x in (one, other):
                q, k, v = block.own(block.norm_within(x)).chunk(3, dim=1)  # type: ignore[operator]
                sides.append(x + block.mix_within(attend(q, k, v, block.heads)))  # type: ignore[operator, arg-type]
            one, other = sides
        a = block.asking(block.norm_across(one)).chunk(3, dim=1)  # type: ignore[operator]
        b = block.answering(block.norm_across(other)).chunk(3, dim=1)  # type: ignore[operator]
        one = one + block.mix(attend(a[0], b[1], b[2], block.heads))  # type: ignore[operator, arg-type]
        other = other + block.mix(attend(b[0], a[1], a[2], block.heads))  # type: ignore[operator, arg-type]
        one, other = (x + block.feed_forward(block.norm_feed_forward(x)) for x in (one, other))  # type: ignore[operator]
    z = model.norm(model.project(torch.cat([one, other])))
    return model.output((torch.softmax(model.score(z), dim=0) * z).sum(dim=0))  # type: ignore[no-any-return]


@pytest.mark.parametrize("query", [(), "jets", ["leptons", "photons"]])
@pytest.mark.parametrize("within", [True, False])
@torch.no_grad()
def test_outputs_by_hand(analysis: Analysis, inputs: dict[str, Input], query: object, within: bool) -> None:
    model = network(analysis, query=query, self_attention=within)
    found = model(inputs)
    assert found.std(dim=0).min() > 1e-3
    for row in range(ROWS):
        torch.testing.assert_close(found[row], by_hand(model, inputs, row))


@torch.no_grad()
def test_every_option_changes_something(analysis: Analysis, inputs: dict[str, Input]) -> None:
    first = network(analysis)(inputs)
    changed = {
        "query": "jets", "width": 16, "layers": 1, "heads": 4, "feed_forward": 13, "latent": 7, "head": [9], "registers": 1,
        "self_attention": False, "norm": "LayerNorm", "gated": False, "activation": "relu",
    }  # fmt: skip
    for name, value in changed.items():
        assert (network(analysis, **{name: value})(inputs) - first).abs().max() > 1e-3, name
    dropped = network(analysis, dropout=0.5).train()
    assert (dropped(inputs) - dropped(inputs)).abs().max() > 1e-3


@torch.no_grad()
def test_in_one_layer_only_the_other_side_is_looked_at(analysis: Analysis, inputs: dict[str, Input]) -> None:
    """A lepton's embedding depends on the jets of its event, and not on the other lepton before a second layer."""
    model = network(analysis, layers=1, self_attention=False)
    before = model.embed(inputs).constituents
    for moved, same, different in (("leptons", "leptons", "jets"), ("jets", "jets", "leptons")):
        entry = inputs[moved]
        assert isinstance(entry, Ragged)
        data = entry.data.clone()
        data[0] += 1.0  # the first of row 0
        after = model.embed({**inputs, moved: Ragged(data, entry.offsets, entry.num_features)}).constituents
        counts = COUNTS[same][0], COUNTS[different][0]
        assert torch.equal(after[same][1:], before[same][1:])
        assert (after[different][: counts[1]] - before[different][: counts[1]]).abs().amax(dim=1).min() > 1e-6
        assert torch.equal(after[different][counts[1] :], before[different][counts[1] :])


def test_the_smallest_collection_asks_by_default(analysis: Analysis) -> None:
    assert network(analysis).query == ["leptons"]
    alone, _ = parse_analysis("classes: {a: x, b: not x}\ninputs: {tracks: {limit: 5, features: [pt]}}")
    assert network(alone).query == []


@torch.no_grad()
def test_with_one_collection_the_registers_ask() -> None:
    alone, _ = parse_analysis("classes: {a: x, b: not x}\ninputs: {tracks: {limit: 5, features: [pt]}}")
    model = network(alone)
    values = torch.tensor([[0.5], [-1.0], [2.0]]).double()
    found = model({"tracks": Ragged(values, torch.tensor([0, 2, 2, 3]), 1)})
    assert found.std(dim=0).min() > 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query": "lepton"}, "query: there is no collection 'lepton' (did you mean 'leptons'"),
        ({"query": ["jets", "leptons", "photons"]}, "are all collections, so the other side would be empty"),
        ({"registers": 0}, "needs at least one register"),
        ({"width": 9}, "cannot be shared by 2 heads"),
    ],
)
def test_errors(analysis: Analysis, options: dict[str, object], message: str) -> None:
    with pytest.raises(CollidekitError) as error:
        network(analysis, **options)
    assert message in str(error.value)


def test_gradients_reach_every_weight(analysis: Analysis, inputs: dict[str, Input]) -> None:
    model = network(analysis)
    found = model.embed(inputs)
    (found.outputs.sum() + sum(x.square().sum() for x in found.constituents.values())).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name
