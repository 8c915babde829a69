"""The particle-flow network: sizes of the paper, and what must not change a score."""

from itertools import pairwise

import pytest
import torch
import toys

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Collection, Group
from collidekit.dataset.batch import Batch, Ragged, concatenate
from collidekit.errors import CollidekitError
from collidekit.models import Tagger, build_network


def features(number: int) -> list[Feature]:
    return [Feature(name=f"f{i}") for i in range(number)]


@torch.no_grad()
def scores(tagger: Tagger, batch: Batch) -> torch.Tensor:
    return torch.softmax(tagger(batch), dim=1)


def dense(*sizes: int) -> int:
    return sum(a * b + b for a, b in pairwise(sizes))


def test_parameters_are_those_of_the_paper() -> None:
    # arXiv 1810.05165, section 3.2: Phi 100, 100, 256 and F 100, 100, 100, then one output a class; inputs (z, y, phi, PID)
    network = build_network("pfn", {"constituents": Collection(limit=100, features=features(4))}, 2, {})
    expected = dense(4, 100, 100, 256) + dense(256, 100, 100, 100) + dense(100, 2)
    assert expected == 82_558
    assert sum(p.numel() for p in network.parameters()) == expected


def test_each_collection_has_its_own_phi_and_groups_go_to_f() -> None:
    inputs = {
        "tracks": Collection(limit=10, features=features(3)),
        "vertices": Collection(limit=10, features=features(2)),
        "jet": Group(features=features(5)),
    }
    network = build_network("pfn", inputs, 3, {"phi": [7, 6], "f": [9]})
    assert sum(p.numel() for p in network.parameters()) == dense(3, 7, 6) + dense(2, 7, 6) + dense(17, 9) + dense(9, 3)


def test_order_of_constituents_does_not_matter(tagger: Tagger, batch: Batch) -> None:
    old = batch.inputs["constituents"]
    assert isinstance(old, Ragged)
    parts = [old.data[a:b][torch.randperm(int(b - a))] for a, b in pairwise(old.offsets)]
    shuffled = toys.with_constituents(batch, torch.cat(parts), old.offsets)
    assert not torch.equal(old.data, torch.cat(parts))
    torch.testing.assert_close(scores(tagger, shuffled), scores(tagger, batch), rtol=0, atol=1e-6)


def test_a_score_does_not_depend_on_the_rest_of_the_batch(tagger: Tagger, batch: Batch) -> None:
    together = scores(tagger, batch)
    assert together.std(dim=0).min() > 0.02
    alone = torch.cat([scores(tagger, batch.slice(i, i + 1)) for i in range(len(batch))])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-6)
    order = torch.randperm(len(batch))
    torch.testing.assert_close(scores(tagger, batch.take(order)), together[order], rtol=0, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_rows_of_any_length(tagger: Tagger, batch: Batch, count: int) -> None:
    data = batch.inputs["constituents"].data[:1].repeat(count, 1)  # type: ignore[union-attr]
    row = toys.with_constituents(batch.slice(0, 1), data, torch.tensor([0, count]))
    beside = scores(tagger, concatenate([batch.slice(3, 5), row, batch.slice(5, 7)]))
    assert beside.isfinite().all()
    torch.testing.assert_close(beside[2:3], scores(tagger, row), rtol=0, atol=1e-6)


def test_a_batch_in_which_nobody_has_constituents(tagger: Tagger, batch: Batch) -> None:
    width = batch.inputs["constituents"].data.shape[1]  # type: ignore[union-attr]
    empty = toys.with_constituents(batch.slice(0, 4), torch.zeros(0, width), torch.zeros(5, dtype=torch.int64))
    loss = tagger(empty).sum()
    loss.backward()
    assert loss.isfinite()


def test_momenta_and_coordinates_are_not_features(tagger: Tagger, batch: Batch) -> None:
    old = batch.inputs["constituents"]
    assert isinstance(old, Ragged)
    data = old.data.clone()
    data[:, old.num_features :] += 100
    moved = toys.with_constituents(batch, data, old.offsets)
    torch.testing.assert_close(scores(tagger, moved), scores(tagger, batch), rtol=0, atol=0)


def test_without_a_collection_there_is_one_clear_error() -> None:
    with pytest.raises(CollidekitError, match=r"pfn: the analysis has no collection of constituents; take mlp"):
        build_network("pfn", {"jet": Group(features=features(2))}, 2, {})
