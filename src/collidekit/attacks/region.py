"""Allowed changes of a batch: their limits, and the changed batch."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from collidekit.dataset.batch import Batch, Ragged

Moves = dict[str, Tensor]
"""Changes of each attacked input: (T, D) for constituents, or (N, D) for rows, in units of the magnitude."""


@dataclass(frozen=True)
class Region:
    """Neighbourhood of one batch."""

    batch: Batch
    make: Callable[[Moves], Batch]
    """Changes -> changed batch, differentiable; without changes the batch itself, bit for bit."""
    low: Moves
    """Smallest change of each number; 0 if it is constant."""
    high: Moves

    def nowhere(self) -> Moves:
        return {name: torch.zeros_like(values) for name, values in self.high.items()}

    def clamp(self, moves: Moves) -> Moves:
        """Limit changes to the allowed range of each number."""
        return {name: values.clamp(self.low[name], self.high[name]) for name, values in moves.items()}

    def project(self, moves: Moves, magnitude: float, norm: str = "linf") -> Moves:
        """Return the nearest changes within the magnitude and within the allowed range of each number."""
        if norm == "linf":
            moves = {name: values.clamp(-magnitude, magnitude) for name, values in moves.items()}
            return self.clamp(moves)
        moves = self.clamp(moves)
        length = self.length(moves)
        return self.times(moves, (magnitude / length.clamp_min(1e-12)).clamp_max(1))

    def length(self, moves: Moves) -> Tensor:
        """Return the L2 norm (N,) of the changes of each row, over all inputs."""
        return self.squares(moves).sqrt()

    def squares(self, moves: Moves) -> Tensor:
        """Return the sum of squares (N,) of the changes of each row."""
        squares = torch.zeros(len(self.batch), device=self.batch.labels.device)
        for name, values in moves.items():
            squares = squares.index_add(0, self.rows(name), values.square().sum(dim=1))
        return squares

    def times(self, moves: Moves, factors: Tensor) -> Moves:
        """Return the changes of each row times a factor (N,)."""
        return {name: values * factors[self.rows(name), None] for name, values in moves.items()}

    def rows(self, name: str) -> Tensor:
        """Return the index of the row of each entry of an input."""
        entry = self.batch.inputs[name]
        return entry.rows if isinstance(entry, Ragged) else torch.arange(len(entry), device=entry.device)

    def random(self, seed: int) -> Moves:
        """Return uniform numbers in (0, 1) that depend only on the seed and on the position of each number in the dataset."""
        return {name: _uniform(seed + number, self._places(name)) for number, name in enumerate(self.high)}

    def _places(self, name: str) -> Tensor:
        """Return an integer for each number, (T, D) or (N, D), that does not depend on the other rows of the batch."""
        entry, rows = self.batch.inputs[name], self.rows(name)
        first = entry.offsets[:-1] if isinstance(entry, Ragged) else torch.arange(len(entry), device=rows.device)
        position = torch.arange(len(rows), device=rows.device) - first[rows]
        line = self.batch.index.to(rows.device)[rows] * 65_537 + position
        columns = torch.arange(self.high[name].shape[1], device=rows.device)
        return line[:, None] * 1_031 + columns


def _uniform(seed: int, places: Tensor) -> Tensor:
    """Return uniform float32 numbers from a hash of integers: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    x = places + (seed + 1) * 0x1E3779B97F4A7C15 % (1 << 62)
    for shift, factor in ((30, 0x3F58476D1CE4E5B9), (27, 0x14D049BB133111EB)):
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * factor
    x = x ^ ((x >> 31) & ((1 << 33) - 1))
    return (((x >> 40) & 0xFFFFFF).double() + 0.5).div(1 << 24).float()
