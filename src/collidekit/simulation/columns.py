"""Columns of jets: flat arrays, and records of lists for collections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np

from collidekit.simulation.generator import IntArray

Columns = dict[str, Any]
"""NumPy arrays (J,), or awkward arrays (J, var) of records for a collection such as `part`."""


def concatenate(parts: Sequence[Columns]) -> Columns:
    """Return the concatenated parts."""
    joined = {}
    for name, first in parts[0].items():
        join = np.concatenate if isinstance(first, np.ndarray) else ak.concatenate
        joined[name] = join([part[name] for part in parts])
    return joined


def take(columns: Columns, rows: IntArray) -> Columns:
    """Return the given rows, in the given order."""
    return {name: values[rows] for name, values in columns.items()}


def collect(batches: Iterable[Columns], label: str, wanted: Mapping[int, int]) -> Columns:
    """Return the wanted number of jets of each label, and generate only as many batches as needed."""
    parts: list[Columns] = []
    missing = {value: count for value, count in wanted.items() if count}
    if not missing:
        return {}
    for columns in batches:
        kept = [np.flatnonzero(columns[label] == value)[:count] for value, count in missing.items()]
        parts.append(take(columns, np.sort(np.concatenate(kept))))
        missing = {
            value: count - len(rows)
            for (value, count), rows in zip(missing.items(), kept, strict=True)
            if count > len(rows)
        }
        if not missing:
            break
    return concatenate(parts)


def round_mantissa(columns: Columns, bits: int) -> Columns:
    """Round the float32 values of collections to `bits` (of 23) mantissa bits; the other bits are zero."""
    return {
        name: ak.transform(lambda layout, **_: _rounded(layout, bits), values) if _is_collection(values) else values
        for name, values in columns.items()
    }


def _is_collection(values: Any) -> bool:
    return isinstance(values, ak.Array) and values.ndim > 1


def _rounded(layout: Any, bits: int) -> Any:
    if not layout.is_numpy or layout.data.dtype != np.float32:
        return None
    dropped = 23 - bits
    raw = np.ascontiguousarray(layout.data).view(np.uint32)
    half = np.uint32((1 << dropped) >> 1)
    mask = np.uint32((0xFFFFFFFF << dropped) & 0xFFFFFFFF)
    finite = np.isfinite(layout.data)
    return ak.contents.NumpyArray(np.where(finite, (raw + half) & mask, raw).view(np.float32))
