"""Exact search for the best consistent assignment of constituents to all slots of all parents, for many events at once."""

from collections.abc import Sequence
from itertools import combinations
from math import prod

import torch
from torch import Tensor

from collidekit.reconstruction.assignment_by_sets import best_by_sets

FIRST = 8
"""Number of best ways of each parent that are combined first."""
CELLS = 1 << 22
"""Maximum number of combinations of all parents in memory."""


def best_assignment(scores: Sequence[Tensor], filled: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the ways to fill the slots of each parent (N, P) with the highest sum of scores (N,), where no constituent is used twice.

    ``scores`` holds the scores (N, C_p) of the ways of each of P parents; ways that a row does not have are -inf. ``filled`` holds the
    constituents (C_p, n_p) of each way: equal numbers for the same constituent, -1 for an empty slot.
    Every row must have a combination without conflicts, such as empty slots.

    The best ways of each parent are combined. The result is the optimum if no combination with another way can have a higher
    sum. Otherwise more ways are combined. If a row has more than CELLS combinations, ``best_by_sets`` finds the optimum.
    A row with a score of NaN gets the first way of each parent and the sum NaN.
    """
    rows, parents = len(scores[0]), len(scores)
    chosen = torch.zeros(rows, parents, dtype=torch.int64, device=scores[0].device)
    totals = scores[0].new_full((rows,), -torch.inf)
    lost = torch.stack([score.isnan().any(dim=1) for score in scores]).any(dim=0)
    totals[lost] = torch.nan
    todo = torch.arange(rows, device=chosen.device)[~lost]
    number = FIRST
    while len(todo):
        sizes = [min(number, part.shape[1]) for part in scores]
        cells = prod(sizes)
        if cells > CELLS:
            for row in todo.tolist():
                ways = best_by_sets(
                    [score[row].cpu().numpy() for score in scores], [part.cpu().numpy() for part in filled]
                )
                chosen[row] = chosen.new_tensor(ways)
                totals[row] = torch.stack([score[row, way] for score, way in zip(scores, ways, strict=True)]).sum()
            break
        left = []
        for part in torch.split(todo, max(CELLS // cells, 1)):
            found, total, sure = _best_of_few([score[part] for score in scores], filled, sizes)
            chosen[part], totals[part] = found, total
            left.append(part[~sure])
        todo = torch.cat(left)
        number *= 4
    return chosen, totals


def _best_of_few(
    scores: Sequence[Tensor], filled: Sequence[Tensor], sizes: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Combine the best ways of each parent; return ways (N, P), sums (N,), and whether no other way can be better (N,)."""
    best = [score.topk(size, dim=1) for score, size in zip(scores, sizes, strict=True)]
    parents = len(scores)
    total = best[0].values.new_zeros(len(scores[0]), *([1] * parents))
    for p, part in enumerate(best):
        total = total + _along(part.values, p, parents)
    constituents = [ways[part.indices] for ways, part in zip(filled, best, strict=True)]  # (N, K, n)
    for p, q in combinations(range(parents), 2):
        one, two = constituents[p][:, :, None, :, None], constituents[q][:, None, :, None, :]
        conflict = ((one == two) & (one >= 0)).flatten(3).any(dim=3)  # (N, K_p, K_q)
        shape = [len(conflict)] + [1] * parents
        shape[p + 1], shape[q + 1] = conflict.shape[1:]
        total = total.masked_fill(conflict.view(shape), -torch.inf)
    sums, place = total.flatten(1).max(dim=1)
    ways = []
    for p in reversed(range(parents)):
        ways.append(best[p].indices.gather(1, (place % sizes[p])[:, None]).squeeze(1))
        place = torch.div(place, sizes[p], rounding_mode="floor")
    largest = torch.stack([part.values[:, 0] for part in best], dim=1)  # (N, P)
    beyond = torch.stack(
        [
            part.values[:, -1] if size < score.shape[1] else torch.full_like(largest[:, 0], -torch.inf)
            for part, size, score in zip(best, sizes, scores, strict=True)
        ],
        dim=1,
    )
    others = largest.sum(dim=1, keepdim=True) - largest
    sure = (sums[:, None] >= beyond + others).all(dim=1)
    return torch.stack(ways[::-1], dim=1), sums, sure


def _along(values: Tensor, parent: int, parents: int) -> Tensor:
    """Return values (N, K) along the axis of a parent: (N, 1, ..., K, ..., 1)."""
    shape = [len(values)] + [1] * parents
    shape[parent + 1] = values.shape[1]
    return values.view(shape)
