"""One Batch: ragged inputs, labels, weights, spectators and event index travel together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from attrs import Factory, evolve, fields, frozen
from torch import Tensor


@frozen
class Ragged:
    """A collection of constituents: ``data (T, C)`` of all rows one after another, row i at ``offsets[i]:offsets[i+1]``.

    The columns of ``data`` are the F features, then momenta (px, py, pz, E in GeV) and coordinates where the analysis
    gives them.
    """

    data: Tensor  # (T, C) float32
    offsets: Tensor  # (N + 1,) int64
    num_features: int
    has_momenta: bool = False
    targets: Tensor | None = None
    """Truths of the constituents (T, K) int32, a column for each target; None where they are not known."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def values(self) -> Tensor:
        """The features (T, F)."""
        return self.data[:, : self.num_features]

    @property
    def momenta(self) -> Tensor:
        """px, py, pz, E (T, 4)."""
        if not self.has_momenta:
            raise ValueError("this collection has no momenta; give them in the analysis file")
        return self.data[:, self.num_features : self.num_features + 4]

    @property
    def coordinates(self) -> Tensor:
        """Two angles (T, 2)."""
        first = self.num_features + 4 * self.has_momenta
        if self.data.shape[1] != first + 2:
            raise ValueError("this collection has no coordinates; give them in the analysis file")
        return self.data[:, first:]

    @property
    def counts(self) -> Tensor:
        """Constituents in each row (N,)."""
        return self.offsets.diff()

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
        data, targets = _take_runs(self.data, self.offsets, index, offsets), self.targets
        if targets is not None:
            targets = _take_runs(targets, self.offsets, index, offsets)
        return evolve(self, data=data, offsets=offsets, targets=targets)

    def slice(self, start: int, stop: int) -> Ragged:
        """Rows start to stop, without a copy of the constituents."""
        offsets = self.offsets[start : stop + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        targets = None if self.targets is None else self.targets[first:last]
        return evolve(self, data=self.data[first:last], offsets=offsets - first, targets=targets)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Ragged:
        targets = None if self.targets is None else self.targets.to(device)
        return evolve(self, data=self.data.to(device, dtype), offsets=self.offsets.to(device), targets=targets)


Input = Ragged | Tensor


@frozen
class Batch:
    """N rows: ``labels (N,)`` class index (-1 unknown), ``weights (N,)``, ``index (N,)`` position in the dataset.

    ``inputs`` holds a ``Ragged`` for each collection and a tensor ``(N, F)`` for each flat group, in raw units.
    ``truth`` holds the numbers (N, V) of each target of rows, in double precision, NaN where one is not known.
    ``keys (N,)`` is what the split goes by; ``source (N, 2)`` is number of the file and row in it.
    """

    inputs: dict[str, Input]
    labels: Tensor
    weights: Tensor
    spectators: dict[str, Tensor]
    event: dict[str, Tensor]
    keys: Tensor
    processes: Tensor
    source: Tensor
    index: Tensor
    truth: dict[str, Tensor] = Factory(dict)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Batch:
        """The rows of an index (M,), in its order: everything moves together."""
        return self._each(lambda entry: entry.take(index) if isinstance(entry, Ragged) else entry[index])

    def slice(self, start: int, stop: int) -> Batch:
        """Rows start to stop, as views."""
        return self._each(lambda entry: entry.slice(start, stop) if isinstance(entry, Ragged) else entry[start:stop])

    def parts(self, size: int) -> Iterator[Batch]:
        """So many rows at a time, as views."""
        return (self.slice(start, min(start + size, len(self))) for start in range(0, len(self), size))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Batch:
        """On another device, inputs and weights in another floating-point type."""
        moved = self._each(lambda entry: entry.to(device))
        if dtype is None:
            return moved
        inputs = {name: entry.to(device, dtype) for name, entry in moved.inputs.items()}
        return evolve(moved, inputs=inputs, weights=moved.weights.to(dtype))

    def _each(self, change: Callable[[Any], Any]) -> Batch:
        """The batch with every tensor and every collection changed."""
        changed: dict[str, Any] = {}
        for field in fields(Batch):
            value = getattr(self, field.name)
            changed[field.name] = (
                {name: change(entry) for name, entry in value.items()} if isinstance(value, dict) else change(value)
            )
        return Batch(**changed)


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


def _take_runs(data: Tensor, offsets: Tensor, index: Tensor, taken: Tensor) -> Tensor:
    """Runs of rows, run i at ``offsets[i]:offsets[i+1]``, in the order of an index; they end up at offsets ``taken``.

    To Arrow a run is a string of bytes: so it is copied in one go, without an index for each of its rows.
    """
    size = data.shape[1] * data.element_size()
    values = data.contiguous().numpy()
    buffers = [None, pa.py_buffer((offsets * size).numpy()), pa.py_buffer(values)]
    runs = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
    copied = runs.take(pa.array(index.numpy())).buffers()[2]
    shape = (int(taken[-1]), data.shape[1])
    flat = pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), shape[0] * shape[1], [None, copied])
    return torch.from_dlpack(flat).reshape(shape)  # type: ignore[attr-defined]
