"""The padded form of heads: what ``decode`` and ``answer`` give of ragged collections and in double precision."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Ragged
from collidekit.errors import CollidekitError
from collidekit.models.heads import RegressionHead, regression_head
from collidekit.models.heads.assignment import AssignmentHead
from collidekit.models.heads.flow import FlowHead
from collidekit.models.heads.gaussian import _sinh
from collidekit.models.network import Embedding, Network
from collidekit.models.padded import Padded
from collidekit.models.target_heads import TargetHeads, vertices

JETS, LEPTONS = 6, 2
TARGETS = {
    "dilepton": "{parents: {top: {b: i}, antitop: {b: j}}, partners: {top: 'leptons[0]', antitop: 'leptons[1]'}}",
    "hadronic": "{parents: {t1: {b: b1, q: q1, p: p1}, t2: {b: b2, q: q2, p: p2}}, symmetries: [[t1, t2], [t1.q, t1.p], [t2.q, t2.p]]}",
    "tth": (
        "{parents: {ht: {b: b1, q: q1, p: p1}, lt: {b: b2}, h: {b: b3, c: b4}}, symmetries: [[ht.q, ht.p], [h.b, h.c]], "
        "partners: {lt: 'leptons[0]'}}"
    ),
    "mixed": "{parents: {w: {q: i, l: {index: j, collection: leptons}}, t: {b: k}}}",
}


def analysis(targets: str = "{}", limit: int = JETS) -> Analysis:
    text = f"""
inputs:
  jets: {{limit: {limit}, momenta: [px, py, pz, e], features: [a]}}
  leptons: {{limit: {LEPTONS}, momenta: [lx, ly, lz, le], features: [b]}}
classes: {{s: y == 1, b: y == 0}}
targets: {targets}
"""
    return parse_analysis(text, "toy.yaml")[0]


class Wide(Network):
    """Embeddings of which the heads need no more than how wide they are."""

    constituent_width, row_width = 12, 10


def block(name: str, counts: list[int]) -> tuple[Ragged, Tensor]:
    """A collection of one feature and momenta, without places in a file, and embeddings (T, 12)."""
    generator = torch.Generator().manual_seed(len(name))
    number, rows = sum(counts), torch.tensor(counts)
    values, momenta = (torch.randn(number, k, dtype=torch.float64, generator=generator) for k in (1, 3))
    momenta = 50 * momenta
    energy = (momenta.square().sum(dim=1, keepdim=True) + 10).sqrt()
    offsets = torch.nn.functional.pad(rows.cumsum(0), (1, 0))
    embedded = torch.randn(number, 12, dtype=torch.float64, generator=generator)
    return Ragged(torch.cat([values, momenta, energy], dim=1), offsets, 1, True), embedded


def both(counts: dict[str, list[int]], more: int) -> tuple[Embedding, dict[str, Any], Embedding, dict[str, Any]]:
    """Embedding and inputs, ragged and padded with so many empty slots, which have embeddings too."""
    rows = torch.randn(len(counts["jets"]), 10, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    parts = {name: block(name, own) for name, own in counts.items()}
    ragged = {name: entry for name, (entry, _) in parts.items()}
    padded, embedded = {}, {}
    for name, (entry, values) in parts.items():
        mask = entry.padded(torch.ones(len(values), 1))[..., 0] > 0
        padded[name] = Padded(entry.padded(entry.data), mask, 1, True).longer(more)
        wide = torch.nn.functional.pad(entry.padded(values), (0, 0, 0, more))
        embedded[name] = torch.where(padded[name].mask[..., None], wide, 7.0)
    one = Embedding(rows, rows, {name: values for name, (_, values) in parts.items()})
    return one, ragged, Embedding(rows, rows, embedded), padded


def spread_out(module: torch.nn.Module) -> Any:
    """In double precision with weights that tell constituents apart."""
    module = module.double().eval()
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return module


COUNTS = {"jets": [6, 5, 3, 2, 1, 0, 6, 4], "leptons": [2, 2, 2, 1, 0, 0, 1, 2]}


@torch.no_grad()
@pytest.mark.parametrize("more", [0, 1, 3])
@pytest.mark.parametrize("name", TARGETS)
def test_assignments_are_those_of_decode(name: str, more: int) -> None:
    one = analysis(f"{{t: {{collection: jets, {TARGETS[name][1:]}}}")
    head: AssignmentHead = spread_out(AssignmentHead(one.assignments["t"], one.collections, Wide(one.inputs, 2)))
    embedding, ragged, wide, padded = both(COUNTS, more)
    wanted, found = head.decode(head(embedding, ragged), ragged), head.padded(wide, padded)
    assert list(found) == list(wanted)
    for column, values in wanted.items():
        if column.startswith("index_"):
            assert found[column].tolist() == values.tolist(), column
        else:
            torch.testing.assert_close(found[column], values, rtol=1e-9, atol=1e-12)
    assert any((values == -1).any() for column, values in wanted.items() if column.startswith("index_"))


def test_the_number_of_slots_decides_what_is_refused() -> None:
    one = analysis(f"{{t: {{collection: jets, {TARGETS['hadronic'][1:]}}}", limit=24)
    head = AssignmentHead(one.assignments["t"], one.collections, Wide(one.inputs, 2)).double()
    _, _, wide, padded = both(COUNTS, 0)
    with pytest.raises(
        CollidekitError, match="2 parents of jets with a limit of 24 have too many assignments for an exported graph"
    ):
        head.padded(wide, padded)


MEMBERS = "{kind: {collection: jets, classes: {x: k == 0, y: k == 1, z: k == 2}}, origin: {collection: jets, same: v}}"


@torch.no_grad()
@pytest.mark.parametrize("more", [0, 1, 3])
def test_targets_of_constituents_are_those_of_the_logits(more: int) -> None:
    one = analysis(MEMBERS)
    heads: TargetHeads = spread_out(TargetHeads(one.member_targets, one.collections, Wide(one.inputs, 2)))
    embedding, ragged, wide, padded = both(COUNTS, more)
    logits, found = heads(embedding, ragged), heads.padded(wide, padded)
    assert heads.constituent_columns == dict.fromkeys(found, "jets")
    assert list(found) == ["kind_x", "kind_y", "kind_z", "kind", "origin"]
    mask = padded["jets"].mask
    probabilities = logits["kind"].softmax(dim=1)
    for k, name in enumerate(("kind_x", "kind_y", "kind_z")):
        torch.testing.assert_close(found[name][mask], probabilities[:, k])
        assert (found[name][~mask] == 0).all()
    assert found["kind"][mask].tolist() == probabilities.argmax(dim=1).tolist()
    pair = 0
    for row, count in enumerate(COUNTS["jets"]):
        number = count * (count - 1) // 2
        connected = (logits["origin"][pair : pair + number] > 0).tolist()
        pair += number
        assert found["origin"][row, :count].tolist() == components(count, connected)
    assert pair == len(logits["origin"])
    for name in ("kind", "origin"):
        assert found[name].dtype == torch.int8
        assert (found[name][~mask] == -1).all()


def components(count: int, connected: list[bool]) -> list[int]:
    """The number of the component of each node, in the order of their first ones; edges of all pairs i < j."""
    group = list(range(count))
    for (i, j), edge in zip(itertools.combinations(range(count), 2), connected, strict=True):
        if edge:
            group = [min(group[i], group[j]) if g in (group[i], group[j]) else g for g in group]
    order = list(dict.fromkeys(group))
    return [order.index(g) for g in group]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9, 17, 100])
def test_a_chain_as_long_as_the_limit_is_one_vertex(size: int) -> None:
    order = torch.randperm(size, generator=torch.Generator().manual_seed(size))
    paired = torch.zeros(1, size, size, dtype=torch.bool)
    paired[0, order[:-1], order[1:]] = paired[0, order[1:], order[:-1]] = True
    assert vertices(paired, torch.ones(1, size) > 0, size).tolist() == [[0] * size]


def test_random_graphs_have_their_components() -> None:
    torch.manual_seed(5)
    for size, chance in ((12, 0.08), (12, 0.2), (30, 0.05)):
        edges = [(torch.rand(size * (size - 1) // 2) < chance).tolist() for _ in range(20)]
        paired = torch.zeros(20, size, size, dtype=torch.bool)
        i, j = torch.triu_indices(size, size, 1)
        for row, own in enumerate(edges):
            paired[row, i, j] = paired[row, j, i] = torch.tensor(own)
        found = vertices(paired, torch.ones(20, size) > 0, size)
        assert found.tolist() == [components(size, own) for own in edges]


def test_empty_slots_connect_nothing() -> None:
    mask = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0]]) > 0
    found = vertices(torch.ones(2, 4, 4) > 0, mask, 4)
    assert found[0, mask[0]].tolist() == [0, 0, 0]


def head(values: int, more: str) -> RegressionHead:
    names = ", ".join(f"v{k}: t{k}" for k in range(values))
    one = parse_analysis(f"inputs: {{point: {{features: [x]}}}}\ntargets: {{t: {{values: {{{names}}}, {more}}}}}\n")[0]
    torch.manual_seed(1)
    found = regression_head(one.regressions["t"])
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.mul_(2.0)
    truth = torch.randn(4000, values, generator=torch.Generator().manual_seed(1)).double()
    found.fit((truth * 0.5 + torch.arange(values)).exp().numpy())
    return found


@pytest.mark.parametrize(
    "more", ["estimate: binned", "estimate: quantiles", "estimate: gaussian, scale: log", "scale: robust"]
)
def test_in_single_precision_heads_give_the_same(more: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = head(2, more)
    raw = torch.randn(300, one.outputs, generator=torch.Generator().manual_seed(2))
    wanted = one.decode(raw)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    for column, values in one.decode(raw).items():
        assert values.dtype == torch.float32
        torch.testing.assert_close(values.double(), wanted[column], rtol=1e-5, atol=2e-5)


def test_the_hyperbolic_sine_keeps_its_digits() -> None:
    for kind, close in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        values = torch.logspace(-8, 1.8, 500, dtype=kind)
        torch.testing.assert_close(_sinh(values), torch.sinh(values), rtol=close, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("scale", ["standard", "log"])
@pytest.mark.parametrize("values", [1, 2, 3, 6])
def test_a_flow_gives_what_answer_gives(values: int, scale: str) -> None:
    one = head(values, f"estimate: flow, scale: {scale}, draws: 40")
    assert isinstance(one, FlowHead)
    generator = torch.Generator().manual_seed(2)
    context = torch.randn(60, 64, generator=generator).double()
    noise = 2.5 * torch.randn(60, 40, values, generator=generator).double()  # some are beyond the splines
    one = one.double()
    unknown = torch.full((60, values), torch.nan, dtype=torch.float64)
    wanted = one.judged(context, noise, unknown, unknown, "t")
    found = one.decode_with(context, noise)
    assert tuple(found) == one.columns
    for column in one.columns:
        torch.testing.assert_close(found[column], wanted[column], rtol=1e-8, atol=1e-8)
    single = one.float().decode_with(context.float(), noise.float())
    for column in one.columns:
        close = (single[column] - wanted[column]).abs() <= 1e-5 * (wanted[column].abs() + wanted[column].std())
        assert close.double().mean() >= (0.95 if column.endswith("_mode") else 1), column
