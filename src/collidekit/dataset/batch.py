"""A batch of rows: ragged inputs, labels, weights, spectators and event index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from attrs import evolve, fields, frozen
from torch import Tensor

from collidekit.dataset.arrays import Array, RaggedArray, RaggedValues, RowArrays, RowFields, each_field, take_runs
from collidekit.dataset.transfer import on_host, send


@frozen
class Ragged(RaggedValues[Tensor]):
    """A collection of constituents as tensors."""

    @classmethod
    def of(cls, arrays: RaggedArray) -> Ragged:
        """Return the same collection as tensors that share the memory of the arrays."""
        targets = None if arrays.targets is None else torch.from_numpy(arrays.targets)
        data, offsets = torch.from_numpy(arrays.data), torch.from_numpy(arrays.offsets)
        return cls(data, offsets, arrays.num_features, arrays.has_momenta, targets)

    @property
    def rows(self) -> Tensor:
        """The row of each constituent (T,)."""
        rows = torch.arange(len(self), device=self.offsets.device)
        return torch.repeat_interleave(rows, self.counts, output_size=_total(self.offsets))

    def padded(self, values: Tensor, least: int = 0) -> Tensor:
        """Return values (T, F) of the constituents as a block (N, L, F), with 0 after the last one of a row; L is at least ``least``."""
        offsets = on_host(self.offsets)
        counts = offsets.diff()
        length = max(int(counts.max()) if len(self) else 0, least)
        slots = (torch.arange(length) < counts[:, None]).view(-1).nonzero().squeeze(1)  # positions in the flat (N * L)
        block = values.new_zeros(len(self) * length, values.shape[1])
        first = int(offsets[0])
        filled = block.index_copy(0, send(slots, values.device), values[first : first + len(slots)])
        return filled.view(len(self), length, values.shape[1])

    def with_values(self, values: Tensor) -> Ragged:
        """Return the same collection with other features (T, F)."""
        return evolve(self, data=torch.cat([values, self.data[:, self.num_features :]], dim=1))

    def take(self, index: Tensor) -> Ragged:
        """Return the rows of an index (M,), in its order."""
        offsets = torch.zeros(len(index) + 1, dtype=torch.int64)
        torch.cumsum(self.counts[index], 0, out=offsets[1:])
        data, targets = self._taken(self.data, index, offsets), self.targets
        if targets is not None:
            targets = self._taken(targets, index, offsets)
        return evolve(self, data=data, offsets=offsets, targets=targets)

    def _taken(self, values: Tensor, index: Tensor, offsets: Tensor) -> Tensor:
        flat = take_runs(values.numpy(), self.offsets.numpy(), index.numpy(), int(offsets[-1]))
        return torch.from_dlpack(flat).reshape(-1, values.shape[1])  # type: ignore[attr-defined]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Ragged:
        """Return the collection on another device, with its data in another floating-point type; the host keeps the offsets."""
        device = torch.device(device)
        targets = None if self.targets is None else send(self.targets, device)
        data = send(self.data, device).to(dtype or self.data.dtype)
        return evolve(self, data=data, offsets=send(self.offsets, device, keep=True), targets=targets)


Input = Ragged | Tensor


@frozen
class Batch(RowFields[Tensor, "Ragged | Tensor"]):
    """Rows as tensors; ``inputs`` holds a ``Ragged`` for each collection."""

    @classmethod
    def of(cls, arrays: RowArrays) -> Batch:
        """Return the same rows as tensors that share the memory of the arrays."""
        return cls(
            **each_field(
                arrays,
                lambda entry: Ragged.of(entry) if isinstance(entry, RaggedArray) else torch.from_numpy(entry),
            )
        )

    def take(self, index: Tensor | Array) -> Batch:
        """Return the rows of an index (M,), in its order, with all their fields."""
        return super().take(torch.as_tensor(index))

    def with_keys(self, keys: Array) -> Batch:
        """Return the same rows with other keys (N,)."""
        return evolve(self, keys=torch.from_numpy(keys))

    def tensors(self) -> Iterator[Tensor]:
        """Yield all tensors of the rows."""
        found: list[Tensor] = []

        def note(entry: Any) -> Any:
            parts = (entry.data, entry.offsets, entry.targets) if isinstance(entry, Ragged) else (entry,)
            found.extend(part for part in parts if part is not None)
            return entry

        self._each(note)
        return iter(found)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Batch:
        """Return the fields of a training step on another device, with inputs and weights in another floating-point type.

        Event numbers, keys, processes, source and index stay on the host, which also keeps the labels.
        """
        device = torch.device(device)

        def move(entry: Any) -> Any:
            if isinstance(entry, Ragged):
                return entry.to(device, dtype)
            return send(entry, device).to(dtype or entry.dtype)

        return evolve(
            self,
            inputs={name: move(entry) for name, entry in self.inputs.items()},
            labels=send(self.labels, device, keep=True),
            weights=move(self.weights),
            spectators={name: send(values, device) for name, values in self.spectators.items()},
            truth={name: send(values, device) for name, values in self.truth.items()},
        )


def _total(offsets: Tensor) -> int:
    """Return the number of constituents of rows at offsets (N + 1,)."""
    ends = on_host(offsets)
    return int(ends[-1] - ends[0])


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Return one batch of all rows, in order."""
    if len(batches) == 1:
        return batches[0]
    joined: dict[str, Any] = {}
    for field in fields(Batch):
        parts = [getattr(batch, field.name) for batch in batches]
        if isinstance(parts[0], dict):
            joined[field.name] = {name: _join([part[name] for part in parts]) for name in parts[0]}
        else:
            joined[field.name] = _cat(parts)
    return Batch(**joined)


def _cat(tensors: list[Tensor]) -> Tensor:
    """Concatenate tensors without threads, which cost more than they gain for memory that is copied once."""
    if tensors[0].device.type != "cpu":
        return torch.cat(tensors)
    return torch.from_numpy(np.concatenate([tensor.numpy() for tensor in tensors]))


def _join(entries: Sequence[Input]) -> Input:
    ragged = [entry for entry in entries if isinstance(entry, Ragged)]
    if not ragged:
        return _cat(list(entries))  # type: ignore[arg-type]
    counts = _cat([entry.counts for entry in ragged])
    offsets = torch.zeros(len(counts) + 1, dtype=torch.int64)
    torch.cumsum(counts, 0, out=offsets[1:])
    targets = [entry.targets for entry in ragged if entry.targets is not None]
    return evolve(
        ragged[0],
        data=_cat([entry.data for entry in ragged]),
        offsets=offsets,
        targets=_cat(targets) if len(targets) == len(ragged) else None,
    )
