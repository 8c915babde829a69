"""Search for the best consistent assignment with operations that do not depend on the scores, for exported graphs."""

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
"""Maximum number of pairs of a set and a way in a graph: about 10 MB of memory for each event, and of the file."""


def check_fits(constituents: int, slots: Sequence[int], names: str) -> None:
    """Raise CollidekitError if a graph for parents with these numbers of slots would need too much memory."""
    if pairs_by_sets(constituents, slots) > MOST_PAIRS:
        raise CollidekitError(
            f"{len(slots)} parents of {names} with a limit of {constituents} have too many assignments for an exported graph; "
            f"train with a lower limit of {names}, or assign fewer parents"
        )


@frozen
class Step:
    """Constant tables for the step that adds one parent.

    The ways of a parent that use the same constituents form one of its W sets; ``ways (W, M)`` holds their numbers. After this step there
    are R sets of used constituents. Each is the union of a set of the step before, ``before (R, K)``, and a set of the parent,
    ``own (R, K)``. Shorter rows of a table are filled with their first entry.
    """

    ways: Tensor
    before: Tensor
    own: Tensor


@frozen
class AssignmentSearch:
    """The search of ``best_assignment`` for a fixed list of ways: dynamic programming over the sets of used constituents.

    The result is the same if no two sums are equal and no score is NaN. Every row must have a combination without conflicts.
    """

    steps: tuple[Step, ...]

    @classmethod
    def of(cls, filled: Sequence[Array]) -> AssignmentSearch:
        """Build the search from the constituents (C_p, n_p) of each way: equal numbers for the same constituent, -1 for an empty slot."""
        used = np.unique(np.concatenate([ways.ravel() for ways in filled]))
        kind = np.int64 if len(used) <= BITS else object  # Python integers have any number of bits
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
                together[:] = 0  # the final set of used constituents is not needed
            taken, pairs = _grouped(together)
            steps.append(Step(*(torch.from_numpy(table) for table in (tables, before[pairs], way[pairs]))))
        return cls(tuple(steps))

    def best(self, scores: Sequence[Tensor]) -> Tensor:
        """Return the ways (N, P) with the highest sum of the scores (N, C_p) of each parent, where no constituent is used twice."""
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
    """Return the distinct keys (R,) and their indices (R, M); shorter rows are filled with the first index."""
    different, group, counts = np.unique(keys, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    first = np.cumsum(counts) - counts
    step = np.arange(counts.max())
    return different, order[first[:, None] + np.where(step < counts[:, None], step, 0)]


def _at(values: Tensor, table: Tensor) -> Tensor:
    """Return values (N, C) at the indices of a table (R, M): (N, R, M)."""
    chosen = values.index_select(1, table.flatten().to(values.device))
    return chosen.view(values.shape[0], table.shape[0], table.shape[1])


def _entry(table: Tensor, row: Tensor, columns: Tensor) -> Tensor:
    """Return entries (N,) of a table (R, M): of the given row (N,), in the column that ``columns (N, R)`` holds for this row."""
    column = columns.gather(1, row[:, None]).squeeze(1)
    return table.flatten().to(row.device).index_select(0, row * table.shape[1] + column)
