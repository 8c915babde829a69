"""The best consistent assignment, compared with brute force."""

import itertools

import pytest
import torch

from collidekit.models.combinations import combinations
from collidekit.reconstruction.assignment import best_assignment
from collidekit.reconstruction.assignment_by_sets import best_by_sets, pairs_by_sets

ALIKE = {1: ((0,),), 2: ((0, 1),), 3: ((0,), (1, 2))}


def ways(jets: int, slots: int) -> torch.Tensor:
    """Jets in the slots (C, slots) of a parent, -1 for none."""
    found = combinations((jets,) * slots, ALIKE[slots], ("jets",) * slots).filled
    return torch.where(found == jets, -1, found)


def by_brute_force(scores: list[torch.Tensor], filled: list[torch.Tensor]) -> float:
    """Return the highest sum of one row by brute force."""
    best = -float("inf")
    for chosen in itertools.product(*(range(len(part)) for part in scores)):
        jets = [jet for part, way in zip(filled, chosen, strict=True) for jet in part[way].tolist() if jet >= 0]
        if len(jets) == len(set(jets)):
            best = max(best, sum(float(part[way]) for part, way in zip(scores, chosen, strict=True)))
    return best


@pytest.mark.parametrize(
    ("jets", "slots"), [(2, (1, 1)), (8, (1, 1)), (5, (3, 1)), (4, (2, 2)), (3, (3, 3)), (3, (1, 2, 1)), (1, (3, 3))]
)
@pytest.mark.parametrize("spread", [0.1, 5.0])
def test_it_is_the_best_of_all(jets: int, slots: tuple[int, ...], spread: float) -> None:
    torch.manual_seed(2)
    filled = [ways(jets, number) for number in slots]
    scores = [(spread * torch.randn(6, len(part), dtype=torch.float64)).log_softmax(dim=1) for part in filled]
    chosen, totals = best_assignment(scores, filled)
    for row in range(6):
        assert float(totals[row]) == pytest.approx(by_brute_force([part[row] for part in scores], filled), abs=1e-12)
        found = [part[way] for part, way in zip(filled, chosen[row], strict=True)]
        assert sum(float(s[row, w]) for s, w in zip(scores, chosen[row], strict=True)) == pytest.approx(
            float(totals[row])
        )
        taken = [jet for part in found for jet in part.tolist() if jet >= 0]
        assert len(taken) == len(set(taken))


def test_parents_that_all_want_the_same_jets() -> None:
    """The best ways of each parent exclude one another, so that many more than the first ones must be looked at."""
    filled = [ways(8, 3)] * 2
    number = (filled[0] == 0).any(dim=1).double() * 10 + torch.rand(len(filled[0]), dtype=torch.float64)
    scores = [number[None]] * 2
    chosen, totals = best_assignment(scores, filled)
    with_first = number[(filled[0] == 0).any(dim=1)].max()
    assert float(totals[0]) < float(2 * with_first)
    table = number[:, None] + number[None, :]
    shared = (
        (filled[0][:, None, :, None] == filled[0][None, :, None, :]) & (filled[0] >= 0)[:, None, :, None]
    ).flatten(2)
    assert float(totals[0]) == float(table.masked_fill(shared.any(dim=2), -1e9).max())
    assert chosen[0, 0] != chosen[0, 1]


def test_no_rows() -> None:
    chosen, totals = best_assignment([torch.zeros(0, 3)] * 2, [torch.tensor([[0], [1], [-1]])] * 2)
    assert (chosen.shape, totals.shape) == ((0, 2), (0,))


@pytest.mark.parametrize(("jets", "slots", "count"), [(4, 1, 5), (4, 2, 6 + 4 + 1), (6, 3, 60 + 30 + 15 + 6 + 6 + 1)])
def test_each_way_to_fill_the_slots_stands_once(jets: int, slots: int, count: int) -> None:
    """Of b, q, q: all three; b and one q; both q; b alone; one q alone; nothing."""
    found = combinations((jets,) * slots, ALIKE[slots], ("jets",) * slots)
    assert len(found.filled) == count
    assert len(torch.unique(found.filled, dim=0)) == count
    positions = torch.where(found.filled == jets, -1, found.filled)
    assert torch.equal(found.number(positions), torch.arange(count))
    if slots == 3:
        exchanged = positions[:, [0, 2, 1]]
        assert torch.equal(found.number(exchanged), torch.arange(count))
    assert torch.equal(found.possible(torch.zeros(1, slots, dtype=torch.int64))[0], found.empty == slots)


@pytest.mark.parametrize(("jets", "slots"), [(6, (1, 1, 1)), (4, (3, 2)), (3, (3, 3)), (4, (1, 2, 1)), (1, (3, 3))])
def test_sets_of_constituents_give_the_best_of_all(jets: int, slots: tuple[int, ...]) -> None:
    torch.manual_seed(4)
    filled = [ways(jets, number) for number in slots]
    for full in (0.0, 1e4):  # what an empty slot costs
        scores = [torch.randn(len(part), dtype=torch.float64) - full * (part < 0).sum(dim=1) for part in filled]
        chosen = best_by_sets([part.numpy() for part in scores], [part.numpy() for part in filled])
        found = [part[way].tolist() for part, way in zip(filled, chosen, strict=True)]
        taken = [jet for part in found for jet in part if jet >= 0]
        assert len(taken) == len(set(taken))
        total = sum(float(part[way]) for part, way in zip(scores, chosen, strict=True))
        assert total == pytest.approx(by_brute_force(scores, filled), abs=1e-9)


def test_four_parents_with_fewer_jets_than_slots_are_found_in_little_memory() -> None:
    """All products of the ways of four tops with eight jets would be 2^37."""
    torch.manual_seed(5)
    filled = [ways(8, 3)] * 4
    scores = [torch.randn(2, len(part), dtype=torch.float64) - 1e4 * (part < 0).sum(dim=1) for part in filled]
    scores[0][1] = torch.where((filled[0] >= 6).any(dim=1), -torch.inf, scores[0][1])  # not all rows have all jets
    chosen, totals = best_assignment(scores, filled)
    for row in range(2):
        parts = [part[way] for part, way in zip(filled, chosen[row], strict=True)]
        jets = torch.cat(parts)
        assert sorted(jets[jets >= 0].tolist()) == list(range(8))
        assert float(totals[row]) == pytest.approx(
            sum(float(part[row, way]) for part, way in zip(scores, chosen[row], strict=True))
        )
    assert (filled[0][chosen[1, 0]] < 6).all()


def test_nan_is_no_endless_search() -> None:
    filled = [ways(3, 1)] * 2
    scores = [torch.randn(2, 4, dtype=torch.float64) for _ in range(2)]
    scores[0][0] = torch.nan
    chosen, totals = best_assignment(scores, filled)
    assert totals.isnan().tolist() == [True, False]
    assert float(totals[1]) == pytest.approx(by_brute_force([part[1] for part in scores], filled))
    assert chosen[0].tolist() == [0, 0]


def test_the_number_of_pairs_is_that_of_sets_and_ways() -> None:
    assert pairs_by_sets(3, (1, 1)) == 4 + 4 * 4  # the empty set and four ways; four sets and four ways
    assert pairs_by_sets(2, (3,)) == 4
