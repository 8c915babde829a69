"""Padded collections, for exported graphs: blocks of one shape instead of ragged rows."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from attrs import evolve, frozen
from torch import Tensor, nn


@frozen
class Padded:
    """Collection of N rows with L slots each: ``data (N, L, C)``, and ``mask (N, L)``, true for existing constituents.

    The data of empty slots are 0. Constituents are at the beginning of a row; the columns of ``data`` are those of a ``Ragged``.
    All operations can be exported, with free N and L.
    """

    data: Tensor
    mask: Tensor
    num_features: int
    has_momenta: bool = False

    def __len__(self) -> int:
        return self.data.shape[0]

    @property
    def values(self) -> Tensor:
        """Features (N, L, F)."""
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
        """1 for constituents, 0 for empty slots (N, L, 1), in the type of the data."""
        return self.mask[..., None].to(self.data.dtype)

    @property
    def counts(self) -> Tensor:
        """Number of constituents of each row (N,)."""
        return self.mask.to(torch.int64).sum(dim=1)

    def leading(self, number: int) -> Padded:
        """Return the first ``number`` constituents of each row; L is at most ``number``."""
        return evolve(self, data=self.data[:, :number], mask=self.mask[:, :number])

    def longer(self, slots: int) -> Padded:
        """Return the collection with ``slots`` more empty slots at the end of each row."""
        return evolve(self, data=F.pad(self.data, (0, 0, 0, slots)), mask=_longer(self.mask, slots))

    def exactly(self, slots: int) -> Padded:
        """Return the collection with ``slots`` slots in each row; constituents beyond them are removed."""
        return self.longer(slots).leading(slots)

    def to(self, dtype: torch.dtype) -> Padded:
        """Return the collection in another floating-point type."""
        return evolve(self, data=self.data.to(dtype))


PaddedInput = Padded | Tensor
AnyInput = Any
"""A ``Ragged``, a ``Padded`` or the tensor of a group, for functions that act on each value separately."""


def _longer(mask: Tensor, slots: int) -> Tensor:
    """Return a mask with more empty slots at the end; it is padded as numbers, because runtimes cannot pad booleans."""
    return F.pad(mask.to(torch.int32), (0, slots)) > 0


def flat_linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``F.linear`` of values (N, ..., F) as one matrix product, to which runtimes add the bias in the same pass."""
    sizes = list(values.shape[:-1])
    rows = sizes[0]
    for size in sizes[1:]:
        rows = rows * size
    found = F.linear(values.reshape(rows, values.shape[-1]), weight, bias)
    return found.reshape(*sizes, weight.shape[0])


class FlatLinear(nn.Linear):
    """``nn.Linear`` computed by ``flat_linear``."""

    def forward(self, values: Tensor) -> Tensor:
        return flat_linear(values, self.weight, self.bias) if values.dim() > 2 else super().forward(values)


HIDDEN = -1e4
"""Added to attention scores of empty slots; finite, so that an empty row gives no NaN."""


def hidden(bias: Tensor, mask: Tensor) -> Tensor:
    """Return an attention bias (N, heads, L, L) that hides empty slots of ``mask (N, L)``."""
    return bias + ((1 - mask.to(bias.dtype)) * HIDDEN)[:, None, None]


NOTHING = -1e9
"""Replaces -inf before a softmax; finite, so that an empty row gives no NaN."""


def masked_softmax(scores: Tensor, mask: Tensor, dim: int) -> Tensor:
    """Return the softmax over existing constituents, 0 for empty slots. ``mask`` broadcasts to the shape of the scores.

    For other dimensions than the last one it is written out, because the softmax of runtimes is three times slower there.
    """
    filled = torch.where(mask, scores, torch.full_like(scores, NOTHING))
    if dim == scores.dim() - 1:
        return filled.softmax(dim=dim) * mask.to(scores.dtype)
    exponentials = (filled - filled.amax(dim=dim, keepdim=True)).exp() * mask.to(scores.dtype)
    return exponentials / exponentials.sum(dim=dim, keepdim=True).clamp(min=1.0)  # at least 1 if any constituent exists


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return means (N, C) of values (N, L, C) over existing constituents (N, L), 0 if there are none."""
    there = mask[..., None].to(values.dtype)
    return (values * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def side_by_side(inputs: list[Padded], data: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return data (N, L_c, C) of several collections as one block (N, L, C) and its mask (N, L); L is the sum of all L_c.

    In this block, constituents need not be at the beginning of a row. ``apart`` returns the part of each collection.
    """
    return torch.cat(data, dim=1), torch.cat([entry.mask for entry in inputs], dim=1)


def apart(values: Tensor, inputs: dict[str, Padded]) -> dict[str, Tensor]:
    """Return the parts (N, L_c, C) of values (N, L, C) that belong to each collection; the inverse of ``side_by_side``."""
    found, start = {}, 0
    for name, entry in inputs.items():
        size = entry.data.shape[1]
        found[name] = values[:, start : start + size]
        start = start + size
    return found
