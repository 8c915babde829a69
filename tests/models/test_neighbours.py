"""Nearest neighbours: those that a look at all pairs finds, within the row."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from collidekit.models import neighbours
from collidekit.models.neighbours import Cloud, Graph, PaddedNeighbours

COUNTS = [7, 0, 1, 9, 2, 7, 6, 30, 3]


def search(counts: list[int], points: Tensor, k: int) -> tuple[Cloud, Graph, Tensor]:
    """Points in the order of the rows; also returns them in the order of the packing."""
    cloud = Cloud.of(torch.tensor([0, *counts]).cumsum(0), k)
    ordered = points[cloud.packing.constituents]
    return cloud, cloud.nearest(ordered), ordered


def each(graph: Graph) -> dict[int, list[int]]:
    """Constituent -> its neighbours."""
    found = {}
    for run in graph.runs:
        chosen = graph.neighbours[run.first : run.last].view(-1, run.degree).tolist()
        found.update(zip(range(run.start, run.stop), chosen, strict=True))
    return found


@pytest.mark.parametrize("k", [1, 6, 7, 50])
@pytest.mark.parametrize("distances", [2**20, 100])
def test_the_nearest_of_the_row_come_first(k: int, distances: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "DISTANCES", distances)
    points = torch.rand(sum(COUNTS), 3, generator=torch.Generator().manual_seed(1))
    cloud, graph, ordered = search(COUNTS, points, k)
    found = each(graph)
    for first, last in pairwise([0, *cloud.packing.counts.cumsum(0).tolist()]):
        for i in range(first, last):
            others = sorted(set(range(first, last)) - {i}, key=lambda j: float((ordered[i] - ordered[j]).norm()))
            assert found.get(i, []) == others[:k]
    assert graph.edges == sum(count * min(k, max(count - 1, 0)) for count in COUNTS)


def test_a_tie_goes_to_the_earlier_in_any_company() -> None:
    """All points are the same; the row stands alone, and in a block with longer ones."""
    for counts in ([5], [5, 6, 6], [5, 5]):
        _, graph, _ = search(counts, torch.ones(sum(counts), 2), 2)
        last = [each(graph)[i] for i in range(sum(counts) - 5, sum(counts))]
        start = sum(counts) - 5
        assert [[j - start for j in chosen] for chosen in last] == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]


def test_near_points_far_from_the_origin_are_told_apart() -> None:
    points = 1e3 + torch.tensor([[0.0, 0], [0.25, 0], [0.625, 0], [0.875, 0]])
    _, graph, _ = search([4], points, 1)
    assert each(graph) == {0: [1], 1: [0], 2: [3], 3: [2]}


def test_points_that_are_no_numbers_have_neighbours_of_their_row() -> None:
    points = torch.rand(12, 2)
    points[3] = float("nan")
    points[9] = float("inf")
    cloud, graph, _ = search([5, 7], points, 3)
    for first, last in pairwise([0, *cloud.packing.counts.cumsum(0).tolist()]):
        assert all(first <= j < last and j != i for i in range(first, last) for j in each(graph)[i])


def test_sums_and_degrees_are_those_of_the_edges() -> None:
    values = torch.rand(sum(COUNTS), 4, dtype=torch.float64)
    _, graph, _ = search(COUNTS, torch.rand(sum(COUNTS), 2), 4)
    leaving, coming = graph.degrees(values)
    sums, found = graph.neighbour_sums(values), each(graph)
    for i in range(len(values)):
        chosen = found.get(i, [])
        assert leaving[i] == len(chosen)
        assert coming[i] == sum(i in others for others in found.values())
        torch.testing.assert_close(sums[i], values[chosen].sum(0))


@pytest.mark.parametrize("k", [1, 6, 50])
@pytest.mark.parametrize("kind", ["random", "far", "grid", "same"])
def test_blocks_have_the_neighbours_of_rows(k: int, kind: str) -> None:
    """The padded form finds the same, in the same order, among ties too and wherever the constituents stand in a row."""
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(sum(COUNTS), 3, generator=generator)
    points = {"random": points, "far": points + 1e4, "grid": points.round(), "same": 0 * points}[kind]
    cloud, graph, _ = search(COUNTS, points, k)
    order = cloud.packing.constituents.tolist()
    wanted = {order[i]: [order[j] for j in chosen] for i, chosen in each(graph).items()}
    mask = torch.zeros(len(COUNTS), 40, dtype=torch.bool)
    for row, count in enumerate(COUNTS):  # with gaps, as where collections stand side by side
        mask[row, torch.randperm(40, generator=generator)[:count]] = True
    block = torch.zeros(*mask.shape, 3).masked_scatter(mask[..., None], points)
    number = torch.full(mask.shape, -1).masked_scatter(mask, torch.arange(len(points)))
    found = PaddedNeighbours.nearest(block, mask, k)
    taken = found.take(number[..., None])[..., 0]  # (N, L, k)
    chosen = {
        int(number[row, i]): taken[row, i, : int(found.there[row].sum())].tolist() for row, i in mask.nonzero().tolist()
    }
    assert {i: others for i, others in chosen.items() if others} == wanted
