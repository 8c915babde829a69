"""Ragged rows as dense blocks of similar lengths: padding is a few percent, and never changes the result of a row."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from attrs import evolve, frozen
from torch import Tensor

from collidekit.dataset.transfer import on_host, send_indices

WASTE = 0.1
"""Largest padding of a block, as a fraction of its constituents."""


@frozen
class Block:
    """Block (n, L) of the sorted rows ``start`` to ``stop``, with the constituents ``first`` to ``last``."""

    start: int
    stop: int
    first: int
    last: int
    length: int
    slots: Tensor  # (last - first,) place of each constituent in the flat (n * L)
    mask: Tensor  # (n, L) True where there is a constituent

    def fill(self, values: Tensor) -> Tensor:
        """Return the values of this block (n, L, F) from sorted values (T, F), with zeros for padding."""
        count = (self.stop - self.start) * self.length
        if count == self.last - self.first:
            return values[self.first : self.last].view(-1, self.length, values.shape[1])
        dense = values.new_zeros(count, values.shape[1])
        return dense.index_copy(0, self.slots, values[self.first : self.last]).view(-1, self.length, values.shape[1])

    def take(self, dense: Tensor) -> Tensor:
        """Return the constituents of this block (last - first, F) from dense values (n, L, F)."""
        flat = dense.reshape(-1, dense.shape[-1])
        return flat if len(flat) == len(self.slots) else flat.index_select(0, self.slots)

    def on_device(self, counts: Tensor, slots: Tensor) -> Block:
        """Return this block with its slots, and the counts of all sorted rows (N,), on another device."""
        places = torch.arange(self.length, device=counts.device)
        return evolve(self, slots=slots, mask=places < counts[self.start : self.stop, None])


@frozen
class Packing:
    """Rows sorted by their number of constituents, longest first, and cut into blocks; empty rows are in no block.

    ``constituents (T,)`` and ``rows (N,)`` are indices of the sorted order: ``values[packing.constituents]``.
    """

    rows: Tensor
    constituents: Tensor
    blocks: list[Block]
    counts: Tensor
    """Number of constituents of each sorted row (N,), on the host."""

    def restore(self, values: Tensor) -> Tensor:
        """Return values (N, F) in the order of the batch, 0 for empty rows, from values (M, F) of the sorted non-empty rows."""
        restored = values.new_zeros(len(self.rows), *values.shape[1:])
        return restored.index_copy(0, self.rows[: len(values)], values)

    def to(self, device: torch.device) -> Packing:
        """Return this packing on a device, with one copy."""
        if device.type == "cpu":
            return self
        indices = [self.counts, self.rows, self.constituents, *(block.slots for block in self.blocks)]
        counts, rows, constituents, *slots = send_indices(device, indices)
        blocks = [block.on_device(counts, own) for block, own in zip(self.blocks, slots, strict=True)]
        return Packing(rows, constituents, blocks, self.counts)


def pack(offsets: Tensor, waste: float = WASTE, slack: int = 64, largest: int = 0) -> Packing:
    """Return blocks for rows at offsets (N + 1,): the padding of a block is at most the fraction ``waste`` of its constituents.

    ``slack`` slots of padding are always allowed, because a further block would cost more. ``largest``
    is the largest number of slots of a block of several rows; 0: any number.
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
    """Yield the first and last row of each block for descending counts."""
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
    """Return all unordered pairs of constituents of the same row: indices ``i`` and ``j`` (P,), row after row.

    They have i < j; with ``themselves``, i <= j.
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
