"""Ragged rows as dense blocks of about equal length: padding is a few percent, and never changes what a row gives."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from attrs import evolve, frozen
from torch import Tensor

from collidekit.dataset.transfer import on_host, send_indices

WASTE = 0.1
"""Padding that a block may hold, as a part of its constituents."""


@frozen
class Block:
    """Rows ``start`` to ``stop`` of the sorted rows, whose constituents are ``first`` to ``last``, as (n, L)."""

    start: int
    stop: int
    first: int
    last: int
    length: int
    slots: Tensor  # (last - first,) place of each constituent in the flat (n * L)
    mask: Tensor  # (n, L) True where there is a constituent

    def fill(self, values: Tensor) -> Tensor:
        """Sorted values (T, F) -> those of this block (n, L, F), zeros where there is no constituent."""
        count = (self.stop - self.start) * self.length
        if count == self.last - self.first:
            return values[self.first : self.last].view(-1, self.length, values.shape[1])
        dense = values.new_zeros(count, values.shape[1])
        return dense.index_copy(0, self.slots, values[self.first : self.last]).view(-1, self.length, values.shape[1])

    def take(self, dense: Tensor) -> Tensor:
        """Dense (n, L, F) -> the constituents of this block (last - first, F)."""
        flat = dense.reshape(-1, dense.shape[-1])
        return flat if len(flat) == len(self.slots) else flat.index_select(0, self.slots)

    def on_device(self, counts: Tensor, slots: Tensor) -> Block:
        """Return this block with its slots, and the counts of all sorted rows (N,), on another device."""
        places = torch.arange(self.length, device=counts.device)
        return evolve(self, slots=slots, mask=places < counts[self.start : self.stop, None])


@frozen
class Packing:
    """Rows sorted by their number of constituents, longest first, and cut into blocks; empty rows are in none of them.

    ``constituents (T,)`` and ``rows (N,)`` bring values into the sorted order: ``values[packing.constituents]``.
    """

    rows: Tensor
    constituents: Tensor
    blocks: list[Block]
    counts: Tensor
    """Constituents of each sorted row (N,), on the host."""

    def restore(self, values: Tensor) -> Tensor:
        """Values (M, F) of the sorted rows that have constituents -> (N, F) in the order of the batch, 0 for empty rows."""
        restored = values.new_zeros(len(self.rows), *values.shape[1:])
        return restored.index_copy(0, self.rows[: len(values)], values)

    def to(self, device: torch.device) -> Packing:
        """Return this packing of the host on a device, by one copy."""
        if device.type == "cpu":
            return self
        indices = [self.counts, self.rows, self.constituents, *(block.slots for block in self.blocks)]
        counts, rows, constituents, *slots = send_indices(device, indices)
        blocks = [block.on_device(counts, own) for block, own in zip(self.blocks, slots, strict=True)]
        return Packing(rows, constituents, blocks, self.counts)


def pack(offsets: Tensor, waste: float = WASTE, slack: int = 64, largest: int = 0) -> Packing:
    """Blocks for rows at offsets (N + 1,): a block takes rows while its padding is below ``waste`` of its constituents.

    ``slack`` slots of padding are always allowed: below that, a further block costs more than the padding. ``largest``
    is how many slots a block of several rows may have, 0 for any number.
    """
    device, offsets = offsets.device, on_host(offsets)
    counts, order = offsets.diff().sort(descending=True, stable=True)
    starts = offsets[:-1][order]
    ends = counts.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    shift = torch.repeat_interleave(starts - (ends - counts), counts, output_size=total)
    constituents = torch.arange(total) + shift
    blocks, first = [], 0
    for start, stop in _cut(counts.tolist(), waste, slack, largest):
        inside = counts[start:stop]
        length = int(inside[0])
        mask = torch.arange(length) < inside[:, None]
        slots = mask.view(-1).nonzero().squeeze(1)
        blocks.append(Block(start, stop, first, first + len(slots), length, slots, mask))
        first += len(slots)
    return Packing(order, constituents, blocks, counts).to(device)


def _cut(counts: list[int], waste: float, slack: int, largest: int) -> Iterator[tuple[int, int]]:
    """Where to cut descending counts."""
    start, real = 0, 0
    for stop, count in enumerate(counts):
        padded = (stop + 1 - start) * counts[start]
        wasteful = padded - (real + count) > waste * real + slack
        if stop > start and (count == 0 or wasteful or (largest and padded > largest)):
            yield start, stop
            start, real = stop, 0
        if count == 0:
            return
        real += count
    if real:
        yield start, len(counts)


def pairs(offsets: Tensor, themselves: bool = False) -> tuple[Tensor, Tensor]:
    """All unordered pairs of constituents of the same row: indices ``i`` and ``j`` (P,), row after row.

    i < j, or i <= j where each is to be paired with itself too.
    """
    counts, sizes = offsets.diff(), on_host(offsets).diff()
    total = int(sizes.sum())
    ends = torch.repeat_interleave(offsets[1:], counts, output_size=total)
    first = 0 if themselves else 1
    after = ends - torch.arange(total, device=offsets.device) - first  # partners that come later (T,)
    number = int((sizes * (sizes + 1 - 2 * first)).sum()) // 2
    i = torch.repeat_interleave(torch.arange(total, device=offsets.device), after, output_size=number)
    begin = torch.repeat_interleave(after.cumsum(0) - after, after, output_size=number)
    return i, i + first + torch.arange(number, device=offsets.device) - begin
