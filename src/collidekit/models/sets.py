"""Several collections of a row as one set, with rows sorted by length."""

import torch
import torch.nn.functional as F
from attrs import evolve, frozen
from torch import Tensor

from collidekit.dataset.batch import Ragged
from collidekit.dataset.transfer import on_host, send
from collidekit.models.packing import Packing, pack


@frozen
class Sets:
    """Members of several collections as one set per row, with rows sorted as in a ``Packing``.

    ``order (T,)`` sorts members, which come one collection after another; ``offsets (N + 1,)`` are those of the
    sorted rows, ``sorted_rows (N,)`` their indices on the host; ``places`` are the new indices of the members of each collection.
    Order and offsets are also kept on the host.
    """

    order: Tensor
    offsets: Tensor
    packing: Packing
    sorted_rows: Tensor
    places: dict[str, Tensor]

    @classmethod
    def of(cls, collections: dict[str, Tensor], largest: int = 0) -> "Sets":
        """Return the sets for the offsets (N + 1,) of each collection; for ``largest`` see ``pack``."""
        device = next(iter(collections.values())).device
        known = {name: on_host(own) for name, own in collections.items()}
        offsets = torch.stack(list(known.values())).sum(dim=0)
        packing = pack(offsets, largest=largest)
        total = len(packing.constituents)
        moved, before = [], torch.zeros_like(offsets[:-1])
        for own in known.values():  # index of each member in the unsorted rows
            shift = offsets[:-1] + before - own[:-1]
            counts = own.diff()
            moved.append(torch.arange(int(own[-1])) + torch.repeat_interleave(shift, counts))
            before = before + counts
        together = _inverse(torch.cat(moved))
        order = together.index_select(0, packing.constituents)
        assert int(offsets[-1]) == total
        sizes = [int(own[-1]) for own in known.values()]
        where = send(_inverse(order), device)
        places = dict(zip(collections, where.split(sizes), strict=True))  # type: ignore[no-untyped-call]
        ends = send(F.pad(packing.counts.cumsum(0), (1, 0)), device, keep=True)
        return cls(send(order, device, keep=True), ends, packing.to(device), packing.rows, places)


def _inverse(order: Tensor) -> Tensor:
    return torch.empty_like(order).index_copy_(0, order, torch.arange(len(order), device=order.device))


def leading(entry: Ragged, number: int) -> Ragged:
    """Return the first ``number`` constituents of each row, in the order of the analysis file."""
    offsets = _shorter(entry, number)
    if int(offsets[-1]) == len(entry.data):
        return entry
    data = entry.data.index_select(0, _places(entry, offsets))
    return evolve(entry, data=data, offsets=send(offsets, data.device, keep=True))


def spread_leading(values: Tensor, entry: Ragged, number: int) -> Tensor:
    """Return values (T, F) of all constituents from values (M, F) of the first ``number`` of each row; 0 for the others."""
    if len(values) == len(entry.data):
        return values
    places = _places(entry, _shorter(entry, number))
    return values.new_zeros(len(entry.data), values.shape[1]).index_copy(0, places, values)


def _shorter(entry: Ragged, number: int) -> Tensor:
    """Return the offsets (N + 1,), on the host, of rows that are truncated to ``number`` constituents."""
    return F.pad(on_host(entry.offsets).diff().clamp(max=number).cumsum(0), (1, 0))


def _places(entry: Ragged, offsets: Tensor) -> Tensor:
    """Return the indices in the entry of the first constituents of each row; ``offsets`` are those of the truncated rows."""
    total = int(offsets[-1])
    shift = torch.repeat_interleave(on_host(entry.offsets)[:-1] - offsets[:-1], offsets.diff(), output_size=total)
    return send(torch.arange(total) + shift, entry.data.device)
