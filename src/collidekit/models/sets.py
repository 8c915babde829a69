"""Several collections of a row as one set, its rows sorted by length."""

import torch
import torch.nn.functional as F
from attrs import evolve, frozen
from torch import Tensor

from collidekit.dataset.batch import Ragged
from collidekit.models.packing import Packing, pack


@frozen
class Sets:
    """The members of several collections as one set a row, the rows sorted as a ``Packing`` has them.

    ``order (T,)`` brings members, one collection after another, into this order; ``offsets (N + 1,)`` are those of the
    sorted rows; ``places`` says where the members of each collection went.
    """

    order: Tensor
    offsets: Tensor
    packing: Packing
    places: dict[str, Tensor]

    @classmethod
    def of(cls, collections: dict[str, Tensor], largest: int = 0) -> "Sets":
        """From the offsets (N + 1,) of each collection; for ``largest`` see ``pack``."""
        offsets = torch.stack(list(collections.values())).sum(dim=0)
        packing = pack(offsets, largest=largest)
        total = len(packing.constituents)
        moved, before = [], torch.zeros_like(offsets[:-1])
        for own in collections.values():  # place of each member in the rows as they come
            shift = offsets[:-1] + before - own[:-1]
            counts = own.diff()
            moved.append(torch.arange(int(own[-1]), device=own.device) + torch.repeat_interleave(shift, counts))
            before = before + counts
        together = _inverse(torch.cat(moved))
        order = together.index_select(0, packing.constituents)
        sizes = [int(own[-1]) for own in collections.values()]
        places = dict(zip(collections, _inverse(order).split(sizes), strict=True))  # type: ignore[no-untyped-call]
        ends = offsets.diff().index_select(0, packing.rows).cumsum(0)
        assert int(offsets[-1]) == total
        return cls(order, F.pad(ends, (1, 0)), packing, places)


def _inverse(order: Tensor) -> Tensor:
    return torch.empty_like(order).index_copy_(0, order, torch.arange(len(order), device=order.device))


def leading(entry: Ragged, number: int) -> Ragged:
    """The first ``number`` constituents of each row, in the order that the analysis file gives them."""
    counts = entry.counts.clamp(max=number)
    offsets = F.pad(counts.cumsum(0), (1, 0))
    total = int(offsets[-1])
    if total == len(entry.data):
        return entry
    index = _places(entry, offsets)
    return evolve(entry, data=entry.data.index_select(0, index), offsets=offsets)


def spread_leading(values: Tensor, entry: Ragged, number: int) -> Tensor:
    """Values (M, F) of the first ``number`` constituents of each row -> (T, F) of all of them, 0 for the others."""
    if len(values) == len(entry.data):
        return values
    offsets = F.pad(entry.counts.clamp(max=number).cumsum(0), (1, 0))
    return values.new_zeros(len(entry.data), values.shape[1]).index_copy(0, _places(entry, offsets), values)


def _places(entry: Ragged, offsets: Tensor) -> Tensor:
    """Where the first constituents of each row, which shorter rows at these offsets hold, stand in the entry."""
    total = int(offsets[-1])
    shift = torch.repeat_interleave(entry.offsets[:-1] - offsets[:-1], offsets.diff(), output_size=total)
    return torch.arange(total, device=offsets.device) + shift
