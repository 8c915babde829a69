"""Hashes of rows, for the train/validation split and for finding repeated rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from collidekit.dataset.arrays import RaggedValues

Array = np.ndarray[Any, Any]

_BLOCK = 4096
"""Rows to hash at once, so that they fit into the cache of a processor."""


def mix(values: Array) -> Array:
    """Return well-spread 64-bit hashes of 64-bit integers, element-wise, by splitmix64 (Steele, Lea, Flood 2014)."""
    z = values.astype(np.uint64, copy=True)
    z += np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hash_columns(columns: list[Array]) -> Array:
    """Return one int64 hash for each row (N,) of 64-bit integer columns (N,)."""
    total = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        total = mix(total ^ column.view(np.uint64))
    return total.view(np.int64)


def hash_inputs(inputs: Mapping[str, Any]) -> Array:
    """Return one int64 hash for each row (N,) of all network inputs: equal rows have equal hashes.

    The inputs are those of ``RowArrays`` or of a ``Batch``.
    """
    total: Array | None = None
    for entry in inputs.values():
        part = _hash_ragged(entry) if isinstance(entry, RaggedValues) else _hash_matrix(np.asarray(entry))
        total = mix(part) if total is None else mix(total ^ part)
    assert total is not None
    return total.view(np.int64)


def comparable_rows(inputs: Mapping[str, Any]) -> Array:
    """Return the rows (N,) that can be compared by content; rows without any constituent cannot, because they are all equal."""
    counts = [np.asarray(entry.counts) for entry in inputs.values() if isinstance(entry, RaggedValues)]
    if len(counts) < len(inputs):
        return np.full(len(next(iter(inputs.values()))), True)
    return np.asarray(np.sum(counts, axis=0) > 0)


def uniform(keys: Any, *salts: int) -> Array:
    """Return a number in [0, 1) for each key (N,), an array or tensor of int64; it depends only on key and salts."""
    return (hashed(keys, *salts) >> np.uint64(11)) * (1.0 / (1 << 53))


def hashed(keys: Any, *salts: int) -> Array:
    """Return a 64-bit hash for each key (N,); it depends only on key and salts."""
    values = np.asarray(keys).view(np.uint64)
    for salt in salts:
        values = mix(values ^ np.uint64(salt & 0xFFFFFFFFFFFFFFFF))
    return mix(values)


def _hash_matrix(matrix: Array) -> Array:
    """Return a hash of each row of a float32 matrix (R, C)."""
    multipliers = mix(np.arange(1, matrix.shape[1] + 1)) | np.uint64(1)
    total = np.empty(len(matrix), dtype=np.uint64)
    for start in range(0, len(matrix), _BLOCK):
        words = np.ascontiguousarray(matrix[start : start + _BLOCK] + np.float32(0)).view(np.uint32)
        total[start : start + _BLOCK] = mix(words.astype(np.uint64) @ multipliers)
    return total


def _hash_ragged(ragged: RaggedValues[Any]) -> Array:
    offsets = np.asarray(ragged.offsets)
    counts = np.diff(offsets)
    members = _hash_matrix(np.asarray(ragged.data))
    position = np.arange(len(members)) - np.repeat(offsets[:-1], counts)
    running = np.concatenate([[np.uint64(0)], np.cumsum(mix(members + position.astype(np.uint64)), dtype=np.uint64)])
    return mix(running[offsets[1:]] - running[offsets[:-1]] + counts.astype(np.uint64))
