"""Rows as numpy arrays, as they are read from a file: the fields of a ``Batch``, without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, Self, TypeVar

import numpy as np
import pyarrow as pa
from attrs import Factory, evolve, fields, frozen

Array = np.ndarray[Any, Any]
Values = TypeVar("Values", bound=Any)
"""A numpy array or a torch tensor."""
Entry = TypeVar("Entry", bound=Any)
"""An input: a collection, or the values of a flat group."""


@frozen
class RaggedValues(Generic[Values]):
    """A collection of constituents: ``data (T, C)`` of all rows one after another, row i at ``offsets[i]:offsets[i+1]``.

    The columns of ``data`` are the F features, then momenta (px, py, pz, E in GeV) and coordinates if the analysis
    has them.
    """

    data: Values  # (T, C) float32
    offsets: Values  # (N + 1,) int64
    num_features: int
    has_momenta: bool = False
    targets: Values | None = None
    """Truth of the constituents (T, K) int32, one column for each target; None if it is not known."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def values(self) -> Values:
        """The features (T, F)."""
        found: Values = self.data[:, : self.num_features]
        return found

    @property
    def momenta(self) -> Values:
        """px, py, pz, E (T, 4)."""
        if not self.has_momenta:
            raise ValueError("this collection has no momenta; give them in the analysis file")
        found: Values = self.data[:, self.num_features : self.num_features + 4]
        return found

    @property
    def coordinates(self) -> Values:
        """Two angles (T, 2)."""
        first = self.num_features + 4 * self.has_momenta
        if self.data.shape[1] != first + 2:
            raise ValueError("this collection has no coordinates; give them in the analysis file")
        found: Values = self.data[:, first:]
        return found

    @property
    def counts(self) -> Values:
        """Number of constituents in each row (N,)."""
        found: Values = self.offsets[1:] - self.offsets[:-1]
        return found

    def slice(self, start: int, stop: int) -> Self:
        """Return the rows from start to stop, without copying the constituents."""
        offsets = self.offsets[start : stop + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        targets = None if self.targets is None else self.targets[first:last]
        return evolve(self, data=self.data[first:last], offsets=offsets - first, targets=targets)

    def take(self, index: Any) -> Self:
        """Return the rows of an index (M,), in its order."""
        raise NotImplementedError


@frozen
class RaggedArray(RaggedValues[Array]):
    """A collection of constituents as numpy arrays."""

    def take(self, index: Array) -> RaggedArray:
        """Return the rows of an index (M,), in its order."""
        offsets = np.zeros(len(index) + 1, dtype=np.int64)
        np.cumsum(self.counts[index], out=offsets[1:])
        data, targets = self._taken(self.data, index, offsets), self.targets
        if targets is not None:
            targets = self._taken(targets, index, offsets)
        return evolve(self, data=data, offsets=offsets, targets=targets)

    def _taken(self, values: Array, index: Array, offsets: Array) -> Array:
        flat = take_runs(values, self.offsets, index, int(offsets[-1]))
        found: Array = flat.to_numpy().reshape(-1, values.shape[1])
        return found


@frozen
class RowFields(Generic[Values, Entry]):
    """N rows: ``labels (N,)`` class index (-1 unknown), ``weights (N,)``, ``index (N,)`` position in the dataset.

    ``inputs`` holds a ``RaggedValues`` for each collection and values ``(N, F)`` for each flat group, in raw units.
    ``truth`` holds the numbers (N, V) of each target of rows in double precision, with NaN for unknown ones.
    ``keys (N,)`` decide the split; ``source (N, 2)`` is the number of the file and the row in it.
    """

    inputs: dict[str, Entry]
    labels: Values
    weights: Values
    spectators: dict[str, Values]
    event: dict[str, Values]
    keys: Values
    processes: Values
    source: Values
    index: Values
    truth: dict[str, Values] = Factory(dict)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Any) -> Self:
        """Return the rows of an index (M,), in its order, with all their fields."""
        return self._each(lambda entry: entry.take(index) if isinstance(entry, RaggedValues) else entry[index])

    def slice(self, start: int, stop: int) -> Self:
        """Return the rows from start to stop, as views."""
        return self._each(
            lambda entry: entry.slice(start, stop) if isinstance(entry, RaggedValues) else entry[start:stop]
        )

    def parts(self, size: int) -> Iterator[Self]:
        """Yield ``size`` rows at a time, as views."""
        return (self.slice(start, min(start + size, len(self))) for start in range(0, len(self), size))

    def with_keys(self, keys: Array) -> Self:
        """Return the same rows with other keys (N,)."""
        raise NotImplementedError

    def _each(self, change: Callable[[Any], Any]) -> Self:
        """Return the rows with ``change`` applied to every array and every collection."""
        return type(self)(**each_field(self, change))


@frozen
class RowArrays(RowFields[Array, RaggedArray | Array]):
    """Rows as numpy arrays; ``inputs`` holds a ``RaggedArray`` for each collection."""

    def with_keys(self, keys: Array) -> RowArrays:
        """Return the same rows with other keys (N,)."""
        return evolve(self, keys=keys)


def each_field(rows: RowFields[Any, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return all fields by name, with ``change`` applied to every array and every collection."""
    changed: dict[str, Any] = {}
    for field in fields(RowFields):
        value = getattr(rows, field.name)
        changed[field.name] = (
            {name: change(entry) for name, entry in value.items()} if isinstance(value, dict) else change(value)
        )
    return changed


def take_runs(values: Array, offsets: Array, index: Array, total: int) -> pa.Array:
    """Return the constituents of the rows of an index, ``total`` in all, as a flat Arrow array of values (total, C).

    ``values (T, C)`` are the values of all rows, run i at ``offsets[i]:offsets[i+1]``. Arrow sees a run as a byte string and
    copies it at once, without an index for each constituent.
    """
    values = np.ascontiguousarray(values)
    size = values.shape[1] * values.itemsize
    buffers = [None, pa.py_buffer(offsets * size), pa.py_buffer(values)]
    runs = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
    copied = runs.take(pa.array(index)).buffers()[2]
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), total * values.shape[1], [None, copied])
