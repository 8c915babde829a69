"""The search with tables gives the same result as the search by scores."""

import pytest
import torch

from collidekit.errors import CollidekitError
from collidekit.models.combinations import combinations
from collidekit.reconstruction.assignment import best_assignment
from collidekit.reconstruction.assignment_in_graph import AssignmentSearch, check_fits

ALIKE = {1: ((0,),), 2: ((0, 1),), 3: ((0,), (1, 2))}


def ways(jets: int, slots: int, first: int = 0) -> torch.Tensor:
    """Numbers of jets in the slots (C, slots) of a parent, from ``first``, -1 for none."""
    found = combinations((jets,) * slots, ALIKE[slots], ("jets",) * slots).filled
    return torch.where(found == jets, -1, found + first)


@pytest.mark.parametrize("slots", [(1,), (1, 1), (2, 2), (3, 3), (3, 1, 2), (1, 1, 1, 1), (1, 3)])
@pytest.mark.parametrize("jets", [1, 3, 6])
@pytest.mark.parametrize("spread", [0.1, 5.0])
def test_it_finds_the_best(slots: tuple[int, ...], jets: int, spread: float) -> None:
    torch.manual_seed(1)
    filled = [ways(jets, number) for number in slots]
    scores = [spread * torch.randn(50, len(part), dtype=torch.float64) for part in filled]
    for score in scores:  # some rows lack some ways, never the empty one, which is the last
        score[:, :-1].masked_fill_(torch.rand(50, len(score.T) - 1) < 0.3, -torch.inf)
    found = AssignmentSearch.of([part.numpy() for part in filled]).best(scores)
    assert found.equal(best_assignment(scores, filled)[0])


def test_constituents_of_other_collections_are_others() -> None:
    filled = [ways(2, 1), ways(2, 1, first=1 << 20)]
    scores = [torch.tensor([[3.0, 0.0, 1.0]]), torch.tensor([[2.0, 0.0, 1.0]])]
    search = AssignmentSearch.of([part.numpy() for part in filled])
    assert search.best(scores).tolist() == [[0, 0]]
    same = AssignmentSearch.of([filled[0].numpy()] * 2)
    assert same.best(scores).tolist() in ([[0, 2]], [[2, 0]])


def test_no_rows_are_no_ways() -> None:
    filled = [ways(4, 3), ways(4, 3)]
    search = AssignmentSearch.of([part.numpy() for part in filled])
    assert search.best([torch.zeros(0, len(part)) for part in filled]).shape == (0, 2)


def test_what_is_too_large_for_a_graph_is_refused() -> None:
    check_fits(18, [3, 3], "jets")
    with pytest.raises(CollidekitError, match="2 parents of jets with a limit of 19 have too many assignments"):
        check_fits(19, [3, 3], "jets")


def test_more_constituents_than_an_integer_has_bits() -> None:
    torch.manual_seed(2)
    filled = [ways(100, 1), ways(100, 1)]
    check_fits(100, [1, 1], "jets")
    scores = [torch.randn(40, 101, dtype=torch.float64) for _ in filled]
    scores[1][:20] = scores[0][:20] + 0.01 * torch.randn(20, 101)
    found = AssignmentSearch.of([part.numpy() for part in filled]).best(scores)
    assert found.equal(best_assignment(scores, filled)[0])
