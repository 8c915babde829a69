"""The nearest neighbours of each constituent among those of its own row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import torch
from attrs import frozen
from torch import Tensor
from torch.nn.functional import embedding, embedding_bag, pad

from collidekit.dataset.transfer import on_host, send
from collidekit.models.packing import Block, Packing, pack

DISTANCES = 2**20
"""Distances that are formed at a time; rows of 1,000 constituents would else need gigabytes."""

LAST = torch.iinfo(torch.int64).max
"""The key of what is no neighbour."""


@frozen
class Run:
    """Constituents ``start`` to ``stop``, each with ``degree`` neighbours, whose edges begin at ``first``."""

    start: int
    stop: int
    degree: int
    first: int

    @property
    def last(self) -> int:
        return self.first + (self.stop - self.start) * self.degree

    def cut(self, edges: int) -> Iterator[Run]:
        """Runs of at most ``edges`` edges, or of one constituent."""
        step = max(edges // self.degree, 1)
        for start in range(self.start, self.stop, step):
            first = self.first + (start - self.start) * self.degree
            yield Run(start, min(start + step, self.stop), self.degree, first)


@frozen
class Graph:
    """Edges from each constituent to its neighbours, in the order of the constituents: ``neighbours (E,)``.

    Constituents of the same number of neighbours, at least one, form a run; those of rows with one constituent are in
    none.
    """

    neighbours: Tensor
    runs: list[Run]

    @property
    def edges(self) -> int:
        return len(self.neighbours)

    def degrees(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """How many edges leave and how many come to each of the constituents (T, C): both (T, 1), in their precision."""
        leaving = values.new_zeros(len(values), 1)
        for run in self.runs:
            leaving[run.start : run.stop] = run.degree
        return leaving, _number_of_each(self.neighbours, len(values))[:, None].to(values.dtype)

    def neighbour_sums(self, values: Tensor) -> Tensor:
        """Sums (T, C) of the values of all neighbours."""
        sums = torch.zeros_like(values)
        for run in self.runs:
            bags = self.neighbours[run.first : run.last].view(-1, run.degree)
            sums[run.start : run.stop] = embedding_bag(bags, values, mode="sum")
        return sums


@frozen
class Cloud:
    """The rows of a batch, whose constituents are to have up to ``k`` neighbours: what all searches of a batch share."""

    packing: Packing
    offsets: Tensor  # (M + 1,) of the sorted rows that have constituents
    runs: list[Run]
    searches: list[Search]
    k: int

    @classmethod
    def of(cls, offsets: Tensor, k: int) -> Cloud:
        """Rows at offsets (N + 1,); one of n constituents gives each of them min(k, n - 1) neighbours."""
        packing = pack(offsets)
        counts = packing.counts
        runs: list[Run] = []
        for degree, rows in groupby(counts.tolist(), lambda count: min(k, count - 1)):
            if degree > 0:
                start, first = (runs[-1].stop, runs[-1].last) if runs else (0, 0)
                runs.append(Run(start, start + sum(rows), degree, first))
        filled = pad(counts[counts > 0].cumsum(0), (1, 0))
        starts = send(filled, offsets.device, keep=True)
        return cls(packing, starts, runs, list(_searches(packing, starts, k)), k)

    @torch.no_grad()
    def nearest(self, points: Tensor) -> Graph:
        """The nearest in points (T, D), which are in the order of the packing, nearest first; a tie goes to the earlier.

        Distances are formed in double precision and compared in single precision: so they, and with them the score of
        a row, do not depend on the block that the row is in.
        """
        precise, block, found = points.double(), None, []
        for search in self.searches:
            if search.block is not block:
                block = search.block
                dense = block.fill(precise)
            found.append(self._search(search, dense))
        return Graph(torch.cat(found) if found else points.new_zeros(0, dtype=torch.int64), self.runs)

    def _search(self, search: Search, dense: Tensor) -> Tensor:
        """Neighbours (edges,) of the constituents of some rows of a block."""
        block, part = search.block, search.part
        mask = block.mask[part] if len(block.slots) < block.mask.numel() else None
        order = _keys(dense[part], mask).topk(min(self.k, block.length - 1), largest=False).indices  # (n, L, k)
        neighbours = order.add_(self.offsets[:-1][block.start : block.stop][part, None, None])
        return neighbours.view(-1) if mask is None else neighbours.view(-1).index_select(0, search.edges)


@frozen
class Search:
    """A part of the rows of a block that is searched together, and which of its (n * L * k) places are ``edges``."""

    block: Block
    part: slice
    edges: Tensor


def _searches(packing: Packing, offsets: Tensor, k: int) -> Iterator[Search]:
    """The searches of all blocks of more than one constituent a row; offsets (M + 1,) of the sorted rows."""
    ends, counts = on_host(offsets), offsets.diff()
    degrees = torch.repeat_interleave((counts - 1).clamp(max=k), counts, output_size=int(ends[-1]))  # (T,)
    for block in packing.blocks:
        if block.length == 1:
            continue
        step = max(DISTANCES // block.length**2, 1)
        padded = block.mask.numel() > len(block.slots)
        for first in range(0, block.stop - block.start, step):
            edges = offsets.new_zeros(0)
            if padded:
                rows = ends[block.start + first : min(block.start + first + step, block.stop) + 1]
                inside = slice(int(rows[0]), int(rows[-1]))
                slots = block.slots[inside.start - block.first : inside.stop - block.first] - first * block.length
                number = int(((rows.diff() - 1).clamp(max=k) * rows.diff()).sum())
                edges = _places(slots * min(k, block.length - 1), degrees[inside], number)
            yield Search(block, slice(first, first + step), edges)


def _places(starts: Tensor, degrees: Tensor, number: int) -> Tensor:
    """The first ``degrees (T,)`` places from each of the ``starts (T,)`` on, ``number`` in all."""
    shift = starts - (degrees.cumsum(0) - degrees)
    return torch.repeat_interleave(shift, degrees, output_size=number) + torch.arange(number, device=starts.device)


def _number_of_each(indices: Tensor, size: int) -> Tensor:
    """How often each of ``size`` numbers stands among the indices (size,); elsewhere than on a CPU ``bincount`` waits."""
    if indices.device.type == "cpu":
        return torch.bincount(indices, minlength=size)
    return indices.new_zeros(size).index_add_(0, indices, torch.ones_like(indices))


def _keys(points: Tensor, mask: Tensor | None) -> Tensor:
    """Whole numbers (n, L, L) that sort as the squared distances of points (n, L, D), then as the column.

    The bits of a float that is not negative sort as the float. Columns of padding and the constituent itself come last.
    """
    squares = points.square().sum(2)
    distances = torch.baddbmm(squares[:, None, :], points, points.transpose(1, 2), alpha=-2).add_(squares[:, :, None])
    bits = distances.float().clamp_(min=0).abs_().view(torch.int32).long()
    keys = bits.bitwise_left_shift_(32).bitwise_or_(torch.arange(points.shape[1], device=points.device))
    keys.diagonal(dim1=1, dim2=2).fill_(LAST)
    return keys if mask is None else keys.masked_fill_(~mask[:, None, :], LAST)


@frozen
class PaddedNeighbours:
    """The nearest neighbours of the constituents of a block: ``places (N, L, k)`` says in which slots, nearest first.

    In rows of fewer than k + 1 constituents some of them do not exist: ``there (N, 1, k)`` is 1 for those that do. Their places may lie
    up to k slots beyond the block.
    """

    places: Tensor
    there: Tensor

    @classmethod
    def nearest(cls, points: Tensor, mask: Tensor, k: int) -> PaddedNeighbours:
        """The k nearest in points (N, L, D) among those that the mask (N, L) says exist: the same as ``Cloud.nearest`` finds."""
        keys = _padded_keys(points.double(), mask)
        keys = pad(keys, (0, k), value=NOT_THERE)  # so that there are k
        places = keys.topk(k, dim=2, largest=False).indices
        others = mask.to(torch.int64).sum(dim=1) - 1
        there = torch.arange(k, device=points.device) < others[:, None, None]
        return cls(places, there.to(points.dtype))

    def take(self, values: Tensor) -> Tensor:
        """The values (N, L, C) of the neighbours of each constituent (N, L, k, C), 0 beyond the block."""
        longer = pad(values, (0, 0, 0, self.places.shape[2]))
        starts = torch.arange(longer.shape[0], device=values.device) * longer.shape[1]
        return embedding(self.places + starts[:, None, None], longer.flatten(0, 1))

    def mean(self, edges: Tensor) -> Tensor:
        """Return the mean (N, L, C) over the neighbours that exist of values (N, L, k, C), 0 where none does."""
        share = self.there / self.there.sum(dim=2, keepdim=True).clamp(min=1)  # (N, 1, k)
        return (share[:, :, None] @ edges).squeeze(2)  # a product reads the edges once


NOT_THERE = 1e300
"""The least key of what is no neighbour, in a graph."""


def _padded_keys(points: Tensor, mask: Tensor) -> Tensor:
    """Numbers (N, L, L) in double precision that sort as those of ``_keys`` do, made without a look at bits.

    Neighbouring numbers of single precision are a part of 2^-24 or more apart: so a number of the column, up to 2^14, finds room
    between them. Of two distances of 0 each has the number of its column alone, far below the smallest of single precision.
    """
    squares = points.square().sum(dim=2)
    # reshaped, since onnxruntime 1.14 to 1.20 makes one node of a transposition and a product, and has none in double precision
    flipped = points.transpose(1, 2).reshape(points.shape[0], points.shape[2], points.shape[1])
    distances = squares[:, None, :] - 2 * (points @ flipped) + squares[:, :, None]
    column = torch.arange(points.shape[1], device=points.device).double()
    single = distances.float().double().clamp(min=0, max=torch.finfo(torch.float32).max)
    itself = (column == column[:, None]).double() * NOT_THERE  # sums, since runtimes add faster than they choose
    absent = (1 - mask.double()) * NOT_THERE
    return single * (1 + column * 2.0**-40) + (column * 1e-60 + itself) + absent[:, None]
