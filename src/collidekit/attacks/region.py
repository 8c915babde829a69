"""What a batch may become: moves of its numbers, their limits, and the batch that they make."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from collidekit.dataset.batch import Batch, Ragged

Moves = dict[str, Tensor]
"""For each input that moves: a number (T, D) of each constituent, or (N, D) of each row, in units of the magnitude."""


@dataclass(frozen=True)
class Region:
    """The neighbourhood of one batch."""

    batch: Batch
    make: Callable[[Moves], Batch]
    """The batch after some moves, differentiable in them; without a move the batch itself, bit for bit."""
    low: Moves
    """Smallest move of each number; 0 where it is fixed."""
    high: Moves

    def nowhere(self) -> Moves:
        return {name: torch.zeros_like(values) for name, values in self.high.items()}

    def clamp(self, moves: Moves) -> Moves:
        """Within what is physical."""
        return {name: values.clamp(self.low[name], self.high[name]) for name, values in moves.items()}

    def project(self, moves: Moves, magnitude: float, norm: str = "linf") -> Moves:
        """The nearest moves within a magnitude, and within what is physical."""
        if norm == "linf":
            moves = {name: values.clamp(-magnitude, magnitude) for name, values in moves.items()}
            return self.clamp(moves)
        moves = self.clamp(moves)
        length = self.length(moves)
        return self.times(moves, (magnitude / length.clamp_min(1e-12)).clamp_max(1))

    def length(self, moves: Moves) -> Tensor:
        """The L2 norm (N,) of the moves of each row, of all inputs together."""
        return self.squares(moves).sqrt()

    def squares(self, moves: Moves) -> Tensor:
        """The sum of squares (N,) of the moves of each row."""
        squares = torch.zeros(len(self.batch), device=self.batch.labels.device)
        for name, values in moves.items():
            squares = squares.index_add(0, self.rows(name), values.square().sum(dim=1))
        return squares

    def times(self, moves: Moves, factors: Tensor) -> Moves:
        """The moves of each row times a factor (N,)."""
        return {name: values * factors[self.rows(name), None] for name, values in moves.items()}

    def rows(self, name: str) -> Tensor:
        """The row of each line of an input."""
        entry = self.batch.inputs[name]
        return entry.rows if isinstance(entry, Ragged) else torch.arange(len(entry), device=entry.device)

    def random(self, seed: int) -> Moves:
        """Uniform numbers in (0, 1) that depend on the seed and on the place of each number in the dataset alone."""
        return {name: _uniform(seed + number, self._places(name)) for number, name in enumerate(self.high)}

    def _places(self, name: str) -> Tensor:
        """(T, D) or (N, D): one integer for each number, whatever else is in the batch."""
        entry, rows = self.batch.inputs[name], self.rows(name)
        first = entry.offsets[:-1] if isinstance(entry, Ragged) else torch.arange(len(entry), device=rows.device)
        position = torch.arange(len(rows), device=rows.device) - first[rows]
        line = self.batch.index.to(rows.device)[rows] * 65_537 + position
        columns = torch.arange(self.high[name].shape[1], device=rows.device)
        return line[:, None] * 1_031 + columns


def _uniform(seed: int, places: Tensor) -> Tensor:
    """SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) as a hash of places, to the precision of float32."""
    x = places + (seed + 1) * 0x1E3779B97F4A7C15 % (1 << 62)
    for shift, factor in ((30, 0x3F58476D1CE4E5B9), (27, 0x14D049BB133111EB)):
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * factor
    x = x ^ ((x >> 31) & ((1 << 33) - 1))
    return (((x >> 40) & 0xFFFFFF).double() + 0.5).div(1 << 24).float()
