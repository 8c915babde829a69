"""What must not change a score, for every network there is: a new one is tested here by being in the registry."""

import inspect
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import toys
from attrs import evolve
from torch import nn

from collidekit.attacks.build import build_attack
from collidekit.attacks.gradient import cross_entropy, gradient
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.batch import Batch, Ragged, concatenate
from collidekit.dataset.loader import Dataset
from collidekit.dataset.statistics import statistics
from collidekit.models import Tagger, build_network
from collidekit.models.registry import NETWORKS
from collidekit.shipped import shipped_analyses

ORDERED = {"deepjet", "deepjet_hlt", "pcnn"}
"""These read the constituents in their order: an LSTM, a convolution along them."""
ROW_STATISTICS = {"deepjet", "deepjet_hlt", "deepjet_transformer"}
"""These also normalise over the rows, and a row without constituents is one."""
WITHOUT_CONSTITUENTS = {"mlp"}
"""These look at flat groups only."""
WITHOUT_EMBEDDINGS = {"mlp", "pcnn"}
"""These have no embeddings of constituents."""
WITHOUT_FEATURES = {"efn", "lorentznet", "lorentznet_small"}
"""These look at momenta or coordinates only."""
OPTIONS = {
    "first": 0,  # all constituents: which are the leading ones is a matter of order
}
"""Options under which a network that has them is tested."""
SMALL: dict[str, dict[str, object]] = {"lorentznet": {"width": 16, "layers": 2}}
"""Sizes for networks that take long on 1,000 constituents."""

EVERY = pytest.mark.parametrize("name", sorted(NETWORKS))
LENGTHS = [1, 1, 2, 3, 40, 60, *range(4, 22)]


def jets(turn: float = 0.0, seed: int = 5) -> ak.Array:
    """Jets of LENGTHS constituents as the reference dataset has them, turned about the beam by an angle."""
    generator = np.random.default_rng(seed)
    counts = np.array(LENGTHS)
    total = counts.sum()
    pt = generator.exponential(20, total) + 1
    eta = np.repeat(generator.uniform(-1, 1, len(counts)), counts) + generator.normal(0, 0.3, total)
    phi = np.repeat(generator.uniform(-3, 3, len(counts)), counts) + generator.normal(0, 0.3, total) + turn
    parts = {"PX": pt * np.cos(phi), "PY": pt * np.sin(phi), "PZ": pt * np.sinh(eta)}
    parts["E"] = np.sqrt((pt * np.cosh(eta)) ** 2 + 0.14**2)  # pions
    lists = {name: ak.unflatten(values, counts) for name, values in parts.items()}
    return ak.zip({"is_signal_new": np.arange(len(counts)) % 2, **lists}, depth_limit=1)


@pytest.fixture(scope="module")
def text() -> str:
    return shipped_analyses()["top_tagging_reference"].read_text()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, text: str) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("jets"), text, jets())


@pytest.fixture(scope="module")
def batch(reference: Dataset) -> Batch:
    return toys.all_rows(reference).to("cpu", torch.float64)


def make_tagger(name: str, dataset: Dataset, batch: Batch, options: Mapping[str, object] = OPTIONS) -> Tagger:
    """First weights, scaled to the jets, in double precision."""
    torch.manual_seed(3)
    analysis = dataset.analysis
    known = inspect.signature(NETWORKS[name].__init__).parameters
    options = {key: value for key, value in options.items() if key in known} | SMALL.get(name, {})
    tagger = Tagger(analysis, build_network(name, analysis.inputs, 2, options))
    tagger.scaling.fit(statistics(batch.to("cpu", torch.float32), analysis))
    return tagger.double().eval()


@pytest.fixture
def tagger(name: str, reference: Dataset, batch: Batch) -> Tagger:
    return make_tagger(name, reference, batch)


@torch.no_grad()
def scores(tagger: Tagger, batch: Batch) -> torch.Tensor:
    return tagger(batch).double()


def constituents(batch: Batch) -> Ragged:
    entry = batch.inputs["constituents"]
    assert isinstance(entry, Ragged)
    return entry


def same(one: torch.Tensor, other: torch.Tensor, atol: float = 1e-7) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=atol)


def without_dropout(tagger: Tagger) -> Tagger:
    """In training mode, with nothing left to chance."""
    tagger.train()
    for module in tagger.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    return tagger


def row(batch: Batch, count: int) -> Batch:
    """One row with this number of constituents, taken from those of the batch."""
    data = constituents(batch).data
    repeats = -(-count // len(data)) if count else 0
    data = data.repeat(max(repeats, 1), 1)[:count]
    data = data * (1 + 1e-3 * torch.arange(count)[:, None] / 1000)  # no two are the same
    return toys.with_constituents(batch.slice(0, 1), data, torch.tensor([0, count]))


def parts(batch: Batch) -> Iterator[torch.Tensor]:
    entry = constituents(batch)
    return (entry.data[a:b] for a, b in zip(entry.offsets[:-1], entry.offsets[1:], strict=True))


@EVERY
def test_the_jets_have_different_scores(name: str, tagger: Tagger, batch: Batch) -> None:
    assert scores(tagger, batch).std(dim=0).min() > 1e-4


@EVERY
def test_order_of_constituents(name: str, tagger: Tagger, batch: Batch) -> None:
    generator = torch.Generator().manual_seed(1)
    mixed = torch.cat([part[torch.randperm(len(part), generator=generator)] for part in parts(batch)])
    shuffled = scores(tagger, toys.with_constituents(batch, mixed, constituents(batch).offsets))
    if name in ORDERED:
        assert (shuffled - scores(tagger, batch)).abs().max() > 1e-4
    else:
        same(shuffled, scores(tagger, batch))


@EVERY
def test_constituents_are_looked_at(name: str, tagger: Tagger, batch: Batch) -> None:
    doubled = toys.with_constituents(batch, constituents(batch).data * 1.5, constituents(batch).offsets)
    changed = (scores(tagger, doubled) - scores(tagger, batch)).abs().max() > 1e-4
    assert changed == (name not in WITHOUT_CONSTITUENTS)


@EVERY
def test_what_else_is_in_the_batch(name: str, tagger: Tagger, batch: Batch) -> None:
    together = scores(tagger, batch)
    same(torch.cat([scores(tagger, batch.slice(i, i + 1)) for i in range(len(batch))]), together)
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(2))
    same(scores(tagger, batch.take(order)), together[order])
    same(scores(tagger, concatenate([batch, row(batch, 300), row(batch, 0)]))[:-2], together)


@EVERY
@torch.no_grad()
def test_embed_has_the_outputs_of_forward_and_constituents_in_their_order(
    name: str, tagger: Tagger, batch: Batch
) -> None:
    network = tagger.network

    def embed(rows: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        found = network.embed(tagger._scaled(rows.inputs))
        assert found.row.shape == (len(rows), network.row_width)
        width = network.width_of("constituents")
        assert list(found.constituents) == ["constituents"] * (width > 0)
        own = found.constituents.get("constituents", found.row.new_zeros(len(constituents(rows).data), 0))
        assert own.shape == (len(constituents(rows).data), width)
        return found.outputs, found.row, own

    outputs, row_embeddings, whole = embed(batch)
    assert torch.equal(outputs, network(tagger._scaled(batch.inputs)))
    assert (whole.shape[1] == 0) == (name in WITHOUT_EMBEDDINGS)
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(2))
    _, moved, _ = embed(batch.take(order))
    same(moved, row_embeddings[order])
    for i in (0, 5, 11):
        a, b = constituents(batch).offsets[i : i + 2]
        same(embed(batch.slice(i, i + 1))[2], whole[a:b])
    assert network.width_of("jet") == 0


@pytest.mark.parametrize("name", ["lorentznet_small", "pair_transformer"])
@torch.no_grad()
def test_constituents_beyond_the_first_ones_have_no_embedding(name: str, reference: Dataset, batch: Batch) -> None:
    tagger = make_tagger(name, reference, batch, {"first": 3})
    found = tagger.network.embed(tagger._scaled(batch.inputs)).constituents["constituents"]
    place = torch.cat([torch.arange(count) for count in LENGTHS])
    assert (found[place < 3].abs().sum(dim=1) > 0).all()
    assert (found[place >= 3] == 0).all()


@EVERY
def test_statistics_in_training_are_those_of_the_constituents(name: str, tagger: Tagger, batch: Batch) -> None:
    """A batch twice over has the same means and variances, but other blocks and with them other padding."""
    without_dropout(tagger)
    once = scores(tagger, batch)
    same(scores(tagger, concatenate([batch, batch]))[: len(batch)], once)
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(2))
    same(scores(tagger, batch.take(order)), once[order])


@EVERY
def test_empty_rows_do_not_move_the_statistics(name: str, reference: Dataset, batch: Batch) -> None:
    """Without beams, which an empty row would have too."""
    tagger = without_dropout(make_tagger(name, reference, batch, OPTIONS | {"beams": False}))
    once = scores(tagger, batch)
    more = scores(tagger, concatenate([row(batch, 0), batch, *[row(batch, 0)] * 20]))[1 : len(batch) + 1]
    if name in ROW_STATISTICS:
        assert (more - once).abs().max() > 1e-4
    else:
        same(more, once)


@EVERY
def test_rotation_about_the_beam(name: str, tagger: Tagger, batch: Batch, text: str, tmp_path: Path) -> None:
    turned = toys.make_dataset(tmp_path, text, jets(turn=2.0))
    old, new = (constituents(rows).momenta for rows in (batch, toys.all_rows(turned)))
    assert (old[:, 0] - new[:, 0]).abs().max() > 1
    same(scores(tagger, toys.all_rows(turned).to("cpu", torch.float64)), scores(tagger, batch), atol=1e-3)


@pytest.mark.parametrize(
    "name", sorted(name for name, network in NETWORKS.items() if getattr(network, "lorentz_invariant", False))
)
@pytest.mark.parametrize("rapidity", [0.3, 1.5])
def test_boosts(name: str, reference: Dataset, batch: Batch, rapidity: float) -> None:
    """All momenta seen from a frame that moves in some direction, and turned. Beams would tell of the direction."""
    tagger = make_tagger(name, reference, batch, OPTIONS | {"beams": False})
    assert tagger.network.lorentz_invariant
    entry = constituents(batch)
    first = entry.num_features
    data = entry.data.clone()
    data[:, first : first + 4] = entry.momenta @ lorentz(rapidity).T
    assert (data - entry.data).abs().max() > 10
    same(scores(tagger, toys.with_constituents(batch, data, entry.offsets)), scores(tagger, batch), atol=1e-5)


def lorentz(rapidity: float) -> torch.Tensor:
    """A rotation after a boost along (1, 2, 2) / 3, on (px, py, pz, E)."""
    axis = torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64) / 3
    boost = torch.eye(4, dtype=torch.float64)
    boost[:3, :3] += (math.cosh(rapidity) - 1) * torch.outer(axis, axis)
    boost[:3, 3] = boost[3, :3] = math.sinh(rapidity) * axis
    boost[3, 3] = math.cosh(rapidity)
    rotation = torch.eye(4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(4)
    rotation[:3, :3] = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    return rotation @ boost


def test_lorentz_leaves_masses() -> None:
    metric = torch.diag(torch.tensor([-1.0, -1.0, -1.0, 1.0], dtype=torch.float64))
    same(lorentz(1.5).T @ metric @ lorentz(1.5), metric)


@EVERY
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_rows_of_any_length(name: str, tagger: Tagger, batch: Batch, count: int) -> None:
    one = row(batch, count)
    beside = scores(tagger, concatenate([batch.slice(3, 5), one, batch.slice(5, 7)]))
    assert beside.isfinite().all()
    same(beside[2:3], scores(tagger, one))


@EVERY
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("counts", [[0], [1], [0, 0, 0], [1, 0], [0, 1, 5]])
def test_gradients_are_finite(name: str, tagger: Tagger, batch: Batch, counts: list[int], training: bool) -> None:
    has_finite_gradients(tagger.train(training), batch, counts)


@EVERY
def test_gradients_of_a_thousand_constituents_are_finite(name: str, tagger: Tagger, batch: Batch) -> None:
    has_finite_gradients(tagger.train(), batch, [1000, 1])


def has_finite_gradients(tagger: Tagger, batch: Batch, counts: list[int]) -> None:
    rows = concatenate([row(batch, count) for count in counts])
    entry = constituents(rows)
    values = entry.data.clone().requires_grad_()
    rows = evolve(rows, inputs={**rows.inputs, "constituents": evolve(entry, data=values)})
    outputs = tagger(rows)
    outputs.square().sum().backward()
    assert outputs.isfinite().all()
    gradients = [parameter.grad for parameter in tagger.parameters() if parameter.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert values.grad is None or values.grad.isfinite().all()


@EVERY
@pytest.mark.parametrize("training", [False, True])
def test_bfloat16_stays_close(name: str, tagger: Tagger, batch: Batch, training: bool) -> None:
    without_dropout(tagger).float().train(training)
    single = batch.to("cpu", torch.float32)
    full = tagger(single).softmax(dim=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = tagger(single)
    half.float().sum().backward()
    atol = 0.15 if training else 0.05  # a few rows' means and variances are not known well
    same(half.float().softmax(dim=1), full, atol=atol)
    assert all(p.grad.isfinite().all() for p in tagger.parameters() if p.grad is not None)


@EVERY
@pytest.mark.parametrize("space", ["features", "momenta"])
def test_attacks_know_the_slope_of_the_loss(
    name: str, tagger: Tagger, reference: Dataset, batch: Batch, space: str
) -> None:
    """The gradient of each row, through scaling and network, against finite differences along a random direction."""
    settings = AttackSettings(attack="fgsm", attack_space=space)  # type: ignore[arg-type]
    attack = build_attack(settings, reference.analysis, tagger.scaling)
    assert attack is not None
    region = attack.space.region(batch)
    here = {key: 0.01 * (2 * values - 1) for key, values in region.random(1).items()}
    along = {key: (2 * values - 1).double() for key, values in region.random(2).items()}
    _, slopes = gradient(tagger, region, {key: values.double() for key, values in here.items()})
    step = 1e-6

    def losses(sign: int) -> torch.Tensor:
        with torch.no_grad():
            moved = region.make({key: here[key].double() + sign * step * along[key] for key in here})
            return cross_entropy(tagger(moved), batch.labels)

    by_hand = (losses(1) - losses(-1)) / (2 * step)
    found = torch.zeros(len(batch), dtype=torch.float64)
    for key, slope in slopes.items():
        found = found.index_add(0, region.rows(key), (slope * along[key]).sum(dim=1))
    sees = space == "momenta" or name not in WITHOUT_FEATURES
    assert bool(by_hand.abs().max() > 1e-4) == sees
    torch.testing.assert_close(found, by_hand, rtol=1e-4, atol=1e-6)
