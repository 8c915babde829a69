"""Collections as blocks of one shape, as graphs for other runtimes have them: what is ragged here is padded there."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from attrs import evolve, frozen
from torch import Tensor, nn


@frozen
class Padded:
    """A collection of N rows with room for L constituents each: ``data (N, L, C)``, and ``mask (N, L)``, true for those that exist.

    Where no constituent is, the data are 0. Constituents stand at the beginning of a row, as in a ``Ragged``; the columns of ``data``
    are the same as there. Everything here is made of operations that a graph can hold, with N and L free.
    """

    data: Tensor
    mask: Tensor
    num_features: int
    has_momenta: bool = False

    def __len__(self) -> int:
        return self.data.shape[0]

    @property
    def values(self) -> Tensor:
        """The features (N, L, F)."""
        return self.data[..., : self.num_features]

    @property
    def momenta(self) -> Tensor:
        """px, py, pz, E (N, L, 4)."""
        return self.data[..., self.num_features : self.num_features + 4]

    @property
    def coordinates(self) -> Tensor:
        """Two angles (N, L, 2)."""
        return self.data[..., self.num_features + 4 * self.has_momenta :]

    @property
    def there(self) -> Tensor:
        """1 for each constituent, 0 elsewhere (N, L, 1), in the type of the data."""
        return self.mask[..., None].to(self.data.dtype)

    @property
    def counts(self) -> Tensor:
        """Constituents in each row (N,)."""
        return self.mask.to(torch.int64).sum(dim=1)

    def leading(self, number: int) -> Padded:
        """The first ``number`` constituents of each row; L is at most that."""
        return evolve(self, data=self.data[:, :number], mask=self.mask[:, :number])

    def longer(self, slots: int) -> Padded:
        """With so many empty slots more at the end of each row."""
        return evolve(self, data=F.pad(self.data, (0, 0, 0, slots)), mask=_longer(self.mask, slots))

    def exactly(self, slots: int) -> Padded:
        """With ``slots`` slots in each row, whatever L was; constituents beyond them are left out."""
        return self.longer(slots).leading(slots)

    def to(self, dtype: torch.dtype) -> Padded:
        """The data in another floating-point type."""
        return evolve(self, data=self.data.to(dtype))


PaddedInput = Padded | Tensor
AnyInput = Any
"""A ``Ragged``, a ``Padded`` or the tensor of a group: what is done to each value by itself takes all of them."""


def _longer(mask: Tensor, slots: int) -> Tensor:
    """A mask with empty slots at the end; padding is of numbers, since runtimes cannot pad truth values."""
    return F.pad(mask.to(torch.int32), (0, slots)) > 0


def flat_linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear`` of values (N, ..., F), as one product of two matrices, to which runtimes add the bias in the same pass."""
    sizes = list(values.shape[:-1])
    rows = sizes[0]
    for size in sizes[1:]:
        rows = rows * size
    found = F.linear(values.reshape(rows, values.shape[-1]), weight, bias)
    return found.reshape(*sizes, weight.shape[0])


class FlatLinear(nn.Linear):
    """``nn.Linear`` by ``flat_linear``."""

    def forward(self, values: Tensor) -> Tensor:
        return flat_linear(values, self.weight, self.bias) if values.dim() > 2 else super().forward(values)


HIDDEN = -1e4
"""What is added to scores of attention for constituents that do not exist: finite, so that a row of nothing else gives no NaN."""


def hidden(bias: Tensor, mask: Tensor) -> Tensor:
    """A bias (N, heads, L, L) of attention after which nobody looks at what does not exist, by ``mask (N, L)``."""
    return bias + ((1 - mask.to(bias.dtype)) * HIDDEN)[:, None, None]


NOTHING = -1e9
"""Stands for -inf before a softmax: finite, so that a row of nothing else gives no NaN."""


def masked_softmax(scores: Tensor, mask: Tensor, dim: int) -> Tensor:
    """Return the softmax over constituents that exist, 0 elsewhere, also where none exists. ``mask`` has the shape of the scores, or spreads.

    Along another dimension than the last it is written out, since that of runtimes is three times as slow there.
    """
    filled = torch.where(mask, scores, torch.full_like(scores, NOTHING))
    if dim == scores.dim() - 1:
        return filled.softmax(dim=dim) * mask.to(scores.dtype)
    exponentials = (filled - filled.amax(dim=dim, keepdim=True)).exp() * mask.to(scores.dtype)
    return exponentials / exponentials.sum(dim=dim, keepdim=True).clamp(min=1.0)  # at least 1 where anything exists


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Means (N, C) of values (N, L, C) over what exists (N, L), 0 where nothing does."""
    there = mask[..., None].to(values.dtype)
    return (values * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def side_by_side(inputs: list[Padded], data: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Data (N, L_c, C) of several collections as one block (N, L, C) and its mask (N, L): L is the sum of all L_c.

    So constituents need not stand at the beginning of a row. The part of each collection comes back by ``apart``.
    """
    return torch.cat(data, dim=1), torch.cat([entry.mask for entry in inputs], dim=1)


def apart(values: Tensor, inputs: dict[str, Padded]) -> dict[str, Tensor]:
    """The parts (N, L_c, C) of values (N, L, C) that belong to each of the collections, which ``side_by_side`` joined."""
    found, start = {}, 0
    for name, entry in inputs.items():
        size = entry.data.shape[1]
        found[name] = values[:, start : start + size]
        start = start + size
    return found
