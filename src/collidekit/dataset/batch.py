"""One Batch: ragged inputs, labels, weights, spectators and event index travel together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from attrs import evolve, fields, frozen
from torch import Tensor

from collidekit.dataset.arrays import Array, RaggedArray, RaggedValues, RowArrays, RowFields, each_field, take_runs


@frozen
class Ragged(RaggedValues[Tensor]):
    """A collection of constituents as tensors."""

    @classmethod
    def of(cls, arrays: RaggedArray) -> Ragged:
        """The same collection as tensors on the memory of the arrays."""
        targets = None if arrays.targets is None else torch.from_numpy(arrays.targets)
        data, offsets = torch.from_numpy(arrays.data), torch.from_numpy(arrays.offsets)
        return cls(data, offsets, arrays.num_features, arrays.has_momenta, targets)

    @property
    def rows(self) -> Tensor:
        """The row of each constituent (T,)."""
        return torch.repeat_interleave(torch.arange(len(self), device=self.offsets.device), self.counts)

    def padded(self, values: Tensor, least: int = 0) -> Tensor:
        """Return values (T, F) of the constituents as a block (N, L, F), 0 beyond the last one of a row; L is at least ``least``."""
        longest = int(self.counts.max()) if len(self) else 0
        there = torch.arange(max(longest, least), device=values.device) < self.counts[:, None]  # (N, L)
        block = values.new_zeros(*there.shape, values.shape[1])
        first = int(self.offsets[0])
        return block.masked_scatter(there[:, :, None], values[first : first + int(self.counts.sum())])

    def with_values(self, values: Tensor) -> Ragged:
        """The same collection with other features (T, F)."""
        return evolve(self, data=torch.cat([values, self.data[:, self.num_features :]], dim=1))

    def take(self, index: Tensor) -> Ragged:
        """The rows of an index (M,), in its order."""
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
        targets = None if self.targets is None else self.targets.to(device)
        return evolve(self, data=self.data.to(device, dtype), offsets=self.offsets.to(device), targets=targets)


Input = Ragged | Tensor


@frozen
class Batch(RowFields[Tensor, "Ragged | Tensor"]):
    """Rows as tensors; ``inputs`` holds a ``Ragged`` for each collection."""

    @classmethod
    def of(cls, arrays: RowArrays) -> Batch:
        """The same rows as tensors on the memory of the arrays."""
        return cls(
            **each_field(
                arrays,
                lambda entry: Ragged.of(entry) if isinstance(entry, RaggedArray) else torch.from_numpy(entry),
            )
        )

    def take(self, index: Tensor | Array) -> Batch:
        """The rows of an index (M,), in its order: everything moves together."""
        return super().take(torch.as_tensor(index))

    def with_keys(self, keys: Array) -> Batch:
        """The same rows with other keys (N,)."""
        return evolve(self, keys=torch.from_numpy(keys))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Batch:
        """On another device, inputs and weights in another floating-point type."""
        moved = self._each(lambda entry: entry.to(device))
        if dtype is None:
            return moved
        inputs = {name: entry.to(device, dtype) for name, entry in moved.inputs.items()}
        return evolve(moved, inputs=inputs, weights=moved.weights.to(dtype))


def concatenate(batches: Sequence[Batch]) -> Batch:
    """One batch of all rows, in order."""
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
    """``torch.cat`` without its threads, which cost more than they give on memory that is copied once."""
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
