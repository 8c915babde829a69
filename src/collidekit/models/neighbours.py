"""Nearest neighbours of each constituent in its row."""

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
"""Number of distances that are computed at a time; rows of 1,000 constituents would otherwise need gigabytes."""

LAST = torch.iinfo(torch.int64).max
"""Key of entries that are not neighbours."""


@frozen
class Run:
    """Constituents ``start`` to ``stop``, each with ``degree`` neighbours; their edges start at ``first``."""

    start: int
    stop: int
    degree: int
    first: int

    @property
    def last(self) -> int:
        return self.first + (self.stop - self.start) * self.degree

    def cut(self, edges: int) -> Iterator[Run]:
        """Yield runs of at most ``edges`` edges, or of one constituent."""
        step = max(edges // self.degree, 1)
        for start in range(self.start, self.stop, step):
            first = self.first + (start - self.start) * self.degree
            yield Run(start, min(start + step, self.stop), self.degree, first)


@frozen
class Graph:
    """Edges from each constituent to its neighbours, in the order of the constituents: ``neighbours (E,)``.

    Consecutive constituents with the same number of neighbours, at least one, form a run. Rows with one constituent are in
    no run.
    """

    neighbours: Tensor
    runs: list[Run]

    @property
    def edges(self) -> int:
        return len(self.neighbours)

    def degrees(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the numbers of edges that start and end at each constituent, both (T, 1), in the type of values (T, C)."""
        leaving = values.new_zeros(len(values), 1)
        for run in self.runs:
            leaving[run.start : run.stop] = run.degree
        return leaving, _number_of_each(self.neighbours, len(values))[:, None].to(values.dtype)

    def neighbour_sums(self, values: Tensor) -> Tensor:
        """Return sums (T, C) of the values of all neighbours."""
        sums = torch.zeros_like(values)
        for run in self.runs:
            bags = self.neighbours[run.first : run.last].view(-1, run.degree)
            sums[run.start : run.stop] = embedding_bag(bags, values, mode="sum")
        return sums


@frozen
class Cloud:
    """Rows of a batch whose constituents get up to ``k`` neighbours: the common data of all searches of a batch."""

    packing: Packing
    offsets: Tensor  # (M + 1,) of the sorted rows that have constituents
    runs: list[Run]
    searches: list[Search]
    k: int

    @classmethod
    def of(cls, offsets: Tensor, k: int) -> Cloud:
        """Return the cloud of rows at offsets (N + 1,); in a row of n constituents, each has min(k, n - 1) neighbours."""
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
        """Return the nearest neighbours of points (T, D) in the order of the packing, nearest first.

        Of equal distances, the earlier constituent comes first. Distances are computed in double precision and compared in single
        precision, so that the score of a row does not depend on its block.
        """
        precise, block, found = points.double(), None, []
        for search in self.searches:
            if search.block is not block:
                block = search.block
                dense = block.fill(precise)
            found.append(self._search(search, dense))
        return Graph(torch.cat(found) if found else points.new_zeros(0, dtype=torch.int64), self.runs)

    def _search(self, search: Search, dense: Tensor) -> Tensor:
        """Return the neighbours (edges,) of the constituents of some rows of a block."""
        block, part = search.block, search.part
        mask = block.mask[part] if len(block.slots) < block.mask.numel() else None
        order = _keys(dense[part], mask).topk(min(self.k, block.length - 1), largest=False).indices  # (n, L, k)
        neighbours = order.add_(self.offsets[:-1][block.start : block.stop][part, None, None])
        return neighbours.view(-1) if mask is None else neighbours.view(-1).index_select(0, search.edges)


@frozen
class Search:
    """Rows of a block that are searched together; ``edges`` are the valid ones of its (n * L * k) places."""

    block: Block
    part: slice
    edges: Tensor


def _searches(packing: Packing, offsets: Tensor, k: int) -> Iterator[Search]:
    """Yield the searches of all blocks with more than one constituent per row; offsets (M + 1,) of the sorted rows."""
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
    """Return the first ``degrees (T,)`` places from each of the ``starts (T,)`` on, ``number`` in total."""
    shift = starts - (degrees.cumsum(0) - degrees)
    return torch.repeat_interleave(shift, degrees, output_size=number) + torch.arange(number, device=starts.device)


def _number_of_each(indices: Tensor, size: int) -> Tensor:
    """Return how often each of ``size`` numbers is among the indices; on other devices than a CPU ``bincount`` waits."""
    if indices.device.type == "cpu":
        return torch.bincount(indices, minlength=size)
    return indices.new_zeros(size).index_add_(0, indices, torch.ones_like(indices))


def _keys(points: Tensor, mask: Tensor | None) -> Tensor:
    """Return integers (n, L, L) with the order of the squared distances of points (n, L, D), then of the columns.

    The bits of non-negative floats have the order of the floats. Padding and the constituent itself come last.
    """
    squares = points.square().sum(2)
    distances = torch.baddbmm(squares[:, None, :], points, points.transpose(1, 2), alpha=-2).add_(squares[:, :, None])
    bits = distances.float().clamp_(min=0).abs_().view(torch.int32).long()
    keys = bits.bitwise_left_shift_(32).bitwise_or_(torch.arange(points.shape[1], device=points.device))
    keys.diagonal(dim1=1, dim2=2).fill_(LAST)
    return keys if mask is None else keys.masked_fill_(~mask[:, None, :], LAST)


@frozen
class PaddedNeighbours:
    """Nearest neighbours of the constituents of a block: ``places (N, L, k)`` are their slots, nearest first.

    In rows with fewer than k + 1 constituents some do not exist: ``there (N, 1, k)`` is 1 for those that exist. Places may be
    up to k slots beyond the block.
    """

    places: Tensor
    there: Tensor

    @classmethod
    def nearest(cls, points: Tensor, mask: Tensor, k: int) -> PaddedNeighbours:
        """Return the k nearest neighbours of points (N, L, D) with mask (N, L), the same as those of ``Cloud.nearest``."""
        keys = _padded_keys(points.double(), mask)
        keys = pad(keys, (0, k), value=NOT_THERE)  # so that there are at least k
        places = keys.topk(k, dim=2, largest=False).indices
        others = mask.to(torch.int64).sum(dim=1) - 1
        there = torch.arange(k, device=points.device) < others[:, None, None]
        return cls(places, there.to(points.dtype))

    def take(self, values: Tensor) -> Tensor:
        """Return the values (N, L, k, C) of the neighbours of each constituent from values (N, L, C), 0 beyond the block."""
        longer = pad(values, (0, 0, 0, self.places.shape[2]))
        starts = torch.arange(longer.shape[0], device=values.device) * longer.shape[1]
        return embedding(self.places + starts[:, None, None], longer.flatten(0, 1))

    def mean(self, edges: Tensor) -> Tensor:
        """Return the mean (N, L, C) of values (N, L, k, C) over existing neighbours, 0 if there are none."""
        share = self.there / self.there.sum(dim=2, keepdim=True).clamp(min=1)  # (N, 1, k)
        return (share[:, :, None] @ edges).squeeze(2)  # a product reads the edges once


NOT_THERE = 1e300
"""Smallest key of entries that are not neighbours, in an exported graph."""


def _padded_keys(points: Tensor, mask: Tensor) -> Tensor:
    """Return numbers (N, L, L) in double precision with the order of ``_keys``, computed without bit operations.

    Neighbouring numbers of single precision differ by a relative 2^-24 or more, so an index of the column up to 2^14 fits
    between them. For distances of 0, only the index of the column is left, far below the smallest number of single precision.
    """
    squares = points.square().sum(dim=2)
    # reshaped: onnxruntime 1.14 to 1.20 merges a transposition and a product into a node that has no double precision
    flipped = points.transpose(1, 2).reshape(points.shape[0], points.shape[2], points.shape[1])
    distances = squares[:, None, :] - 2 * (points @ flipped) + squares[:, :, None]
    column = torch.arange(points.shape[1], device=points.device).double()
    single = distances.float().double().clamp(min=0, max=torch.finfo(torch.float32).max)
    itself = (column == column[:, None]).double() * NOT_THERE  # sums, because runtimes add faster than they select
    absent = (1 - mask.double()) * NOT_THERE
    return single * (1 + column * 2.0**-40) + (column * 1e-60 + itself) + absent[:, None]
