"""The truth of a sample: one row for each row of the features."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collidekit.errors import CollidekitError
from collidekit.evaluation.rows import Floats, Ints

WEIGHT = "weight"
"""The optional column of the truth that weights rows."""
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Truth:
    """Keys (N,), true columns name -> (N,) and weights (N,), all in the order of the file."""

    keys: Ints
    columns: Mapping[str, Array]
    weights: Floats

    def __len__(self) -> int:
        return len(self.keys)

    def column(self, name: str) -> Array:
        """Return a true column, or an error that names those there are."""
        if name not in self.columns:
            raise CollidekitError(f"the truth has no column {name!r}; it has {', '.join(self.columns)}")
        return self.columns[name]

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that depend on keys, weights and all true columns."""
        found = hashlib.sha256(self.keys.tobytes() + self.weights.tobytes())
        for name in sorted(self.columns):
            found.update(name.encode() + np.ascontiguousarray(self.columns[name]).tobytes())
        return found.hexdigest()[:16]

    @property
    def seed(self) -> int:
        """Seed of the Poisson weights of the bootstrap: that of the truth, so that all submissions get the same ones."""
        return int(self.fingerprint[:15], 16)


def make_truth(keys: Array, columns: Mapping[str, Array], weights: Array | None = None, name: str = "truth") -> Truth:
    """Check the truth of a sample; without weights each row counts once.

    Raises CollidekitError for keys that are no integers or stand twice, columns of other lengths and weights that are not
    finite or do not have a positive sum.
    """
    numbers = np.asarray(keys)
    if numbers.ndim != 1 or not len(numbers) or not np.issubdtype(numbers.dtype, np.integer):
        raise CollidekitError(f"{name}: the key must be a column of integers, with at least one row")
    if numbers.dtype.kind == "u" and numbers.max() > np.iinfo(np.int64).max:
        raise CollidekitError(
            f"{name}: the key has {numbers.max()}; keys must be at most 9223372036854775807 (2^63 - 1)"
        )
    if len(np.unique(numbers)) < len(numbers):
        raise CollidekitError(f"{name}: {len(numbers) - len(np.unique(numbers))} rows have the key of another row")
    if weights is not None and np.asarray(weights).dtype.kind not in "fiu":
        raise CollidekitError(f"{name}: column {WEIGHT} holds no numbers, but texts or other values")
    weight = np.ones(len(numbers)) if weights is None else np.asarray(weights, dtype=np.float64)
    for column, values in {WEIGHT: weight, **columns}.items():
        if len(values) != len(numbers):
            raise CollidekitError(f"{name}: {column} has {len(values):,} rows and the key {len(numbers):,}")
    bad = np.flatnonzero(~np.isfinite(weight))
    if len(bad):
        raise CollidekitError(
            f"{name}: the weights of {len(bad):,} rows are NaN or infinite, the first in row {bad[0]}"
        )
    if weight.sum() <= 0:
        raise CollidekitError(f"{name}: the weights sum to {weight.sum():g}: it must be more than 0")
    return Truth(numbers.astype(np.int64), {name: _plain(values) for name, values in columns.items()}, weight)


def _plain(values: Array) -> Array:
    """Return numbers in 64 bits, and texts of a fixed length, so that the fingerprint does not depend on the file's types."""
    array = np.asarray(values)
    if array.dtype == object or array.dtype.kind in "US":
        return array.astype(str)
    return array.astype(np.float64 if np.issubdtype(array.dtype, np.floating) else np.int64)
