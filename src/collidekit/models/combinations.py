"""Combinations: all ways to fill the slots of a parent with the constituents of a row."""

from functools import lru_cache
from itertools import combinations as pairs_of
from itertools import pairwise
from math import prod

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from collidekit.dataset.transfer import constant, send


@frozen
class Combinations:
    """All C ways to fill n slots. ``filled (C, n)`` has positions below ``sizes``; an empty slot has the value of its size.

    Exchangeable slots are filled in ascending order, and no constituent is used twice.
    """

    filled: Tensor
    sizes: tuple[int, ...]
    alike: tuple[tuple[int, ...], ...]
    _numbers: Tensor  # index of the combination for each cell of the cube of all positions, -1 if there is none

    @property
    def empty(self) -> Tensor:
        """Number of empty slots of each combination (C,)."""
        return (self.filled == constant(self.sizes, self.filled)).sum(dim=1)

    @property
    def positions(self) -> Tensor:
        """Positions (C, n) of the constituents in the slots, -1 for an empty slot."""
        return torch.where(self.filled == constant(self.sizes, self.filled), -1, self.filled)

    def possible(self, counts: Tensor) -> Tensor:
        """Return which combinations (N, C) are possible in rows with ``counts (N, n)`` constituents for each slot."""
        sizes = constant(self.sizes, self.filled)
        return ((self.filled < counts[:, None]) | (self.filled == sizes)).all(dim=2)

    def number(self, positions: Tensor) -> Tensor:
        """Return the indices (N,) of combinations with positions (N, n) in the slots, where -1 is an empty slot."""
        sizes = constant(self.sizes, positions)
        positions = torch.where(positions < 0, sizes, positions)
        for group in self.alike:
            own = constant(group, positions)
            positions = positions.index_copy(1, own, positions[:, own].sort(dim=1).values)
        return send(self._numbers, positions.device)[_cells(positions, self.sizes)]

    def to(self, device: torch.device) -> "Combinations":
        return Combinations(send(self.filled, device), self.sizes, self.alike, send(self._numbers, device))


@lru_cache(maxsize=64)
def combinations(
    sizes: tuple[int, ...], alike: tuple[tuple[int, ...], ...], collections: tuple[str, ...]
) -> Combinations:
    """Return the combinations of slots that are filled from collections of these sizes; groups ``alike`` are exchangeable."""
    # in NumPy, so that it is not part of a traced graph
    filled = np.stack(np.meshgrid(*(np.arange(size + 1) for size in sizes), indexing="ij"), axis=-1).reshape(
        -1, len(sizes)
    )
    kept = np.ones(len(filled), dtype=bool)
    for group in alike:
        for a, b in pairwise(group):
            kept &= (filled[:, a] < filled[:, b]) | (filled[:, a] == sizes[a]) & (filled[:, b] == sizes[b])
    for a, b in pairs_of(range(len(sizes)), 2):
        if collections[a] == collections[b]:
            kept &= (filled[:, a] != filled[:, b]) | (filled[:, a] == sizes[a])
    filled = filled[kept]
    numbers = np.full(prod(size + 1 for size in sizes), -1)
    numbers[np.ravel_multi_index(tuple(filled.T), [size + 1 for size in sizes])] = np.arange(len(filled))
    return Combinations(torch.from_numpy(filled), sizes, alike, torch.from_numpy(numbers))


def _cells(positions: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return the flat indices (M,) of positions (M, n) in the cube of all positions."""
    cells = torch.zeros_like(positions[:, 0])
    for slot, size in enumerate(sizes):
        cells = cells * (size + 1) + positions[:, slot]
    return cells
