"""The best consistent assignment by operations that do not depend on the scores: graphs for other runtimes can hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from collidekit.errors import CollidekitError
from collidekit.reconstruction.assignment_by_sets import BITS, pairs_by_sets

Array = np.ndarray[Any, Any]
MOST_PAIRS = 1 << 20
"""Pairs of a set and a way of one event in a graph: some 10 MB of memory for each event, and of the file."""


def check_fits(constituents: int, slots: Sequence[int], names: str) -> None:
    """Raise CollidekitError where a graph would need too much memory, for parents of these numbers of slots."""
    if pairs_by_sets(constituents, slots) > MOST_PAIRS:
        raise CollidekitError(
            f"{len(slots)} parents of {names} with a limit of {constituents} have too many assignments for an exported graph; "
            f"train with a lower limit of {names}, or assign fewer parents"
        )


@frozen
class Step:
    """How one more parent is filled, as tables of constants.

    The ways of a parent that take the same constituents are one of its W sets; ``ways (W, M)`` has their numbers. A set of
    constituents that are taken together with this parent is one of R; each comes from a set ``before (R, K)`` and a set of the parent
    ``own (R, K)``. A row of a table that is shorter than others repeats its first entry.
    """

    ways: Tensor
    before: Tensor
    own: Tensor


@frozen
class AssignmentSearch:
    """The search of ``best_assignment`` for ways that are always the same: dynamic programming over the sets that are taken.

    Its answer is the same where no two sums are equal and no score is NaN. Every row must have a way without conflicts.
    """

    steps: tuple[Step, ...]

    @classmethod
    def of(cls, filled: Sequence[Array]) -> AssignmentSearch:
        """From the constituents (C_p, n_p) of each way of each parent: numbers that are the same for the same constituent, -1 for none."""
        used = np.unique(np.concatenate([ways.ravel() for ways in filled]))
        kind = np.int64 if len(used) <= BITS else object  # Python's integers have as many bits as are needed
        places = np.cumsum(used >= 0) - 1
        bits = np.array(
            [1 << int(place) if number >= 0 else 0 for number, place in zip(used, places, strict=True)], kind
        )
        steps, taken = [], np.zeros(1, dtype=kind)
        for parent, ways in enumerate(filled):
            own, tables = _grouped(bits[np.searchsorted(used, ways)].sum(axis=1))
            before, way = np.nonzero((taken[:, None] & own) == 0)
            together = taken[before] | own[way]
            if parent == len(filled) - 1:
                together[:] = 0  # nobody asks which constituents are taken in the end
            taken, pairs = _grouped(together)
            steps.append(Step(*(torch.from_numpy(table) for table in (tables, before[pairs], way[pairs]))))
        return cls(tuple(steps))

    def best(self, scores: Sequence[Tensor]) -> Tensor:
        """Return the way of each parent (N, P) with the highest sum of scores and no constituent twice, for scores (N, C_p) of each."""
        totals = torch.zeros_like(scores[0][:, :1])
        found: list[tuple[Tensor, Tensor]] = []
        for score, step in zip(scores, self.steps, strict=True):
            own, way = _at(score, step.ways).max(dim=2)  # (N, W)
            totals, pair = (_at(totals, step.before) + _at(own, step.own)).max(dim=2)  # (N, R)
            found.append((way, pair))
        taken = torch.zeros_like(found[-1][1][:, 0])  # (N,)
        chosen = []
        for step, (way, pair) in zip(reversed(self.steps), reversed(found), strict=True):
            own = _entry(step.own, taken, pair)
            taken = _entry(step.before, taken, pair)
            chosen.append(_entry(step.ways, own, way))
        return torch.stack(chosen[::-1], dim=1)


def _grouped(keys: Array) -> tuple[Array, Array]:
    """The different keys (R,), and the places (R, M) at which each stands; where these are fewer than M, the first again."""
    different, group, counts = np.unique(keys, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    first = np.cumsum(counts) - counts
    step = np.arange(counts.max())
    return different, order[first[:, None] + np.where(step < counts[:, None], step, 0)]


def _at(values: Tensor, table: Tensor) -> Tensor:
    """Values (N, C) at the places of a table (R, M): (N, R, M)."""
    chosen = values.index_select(1, table.flatten().to(values.device))
    return chosen.view(values.shape[0], table.shape[0], table.shape[1])


def _entry(table: Tensor, row: Tensor, columns: Tensor) -> Tensor:
    """The entry of a table (R, M) in the given row (N,), and there in the column that ``columns (N, R)`` has for this row."""
    column = columns.gather(1, row[:, None]).squeeze(1)
    return table.flatten().to(row.device).index_select(0, row * table.shape[1] + column)
