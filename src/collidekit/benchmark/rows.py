"""The keys of a sample: every row once, the same in features and truth."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from collidekit.benchmark.definition import Benchmark, Sample
from collidekit.errors import CollidekitError

Array = np.ndarray[Any, Any]
MOST_KEY = 2**63 - 1
"""Largest key: keys are signed integers of 64 bits everywhere."""


def sample_keys(benchmark: Benchmark, sample: Sample) -> Array:
    """Return the keys (N,) of the rows of a sample, in the order of its features.

    Raises CollidekitError where a key is missing, stands twice or is no integer, or where the truth has other keys.
    """
    features = _keys(benchmark.path(sample.features), benchmark.key)
    truth = _keys(benchmark.path(sample.truth), benchmark.key)
    other = np.setxor1d(features, truth)
    if len(other):
        where = sample.truth.path if other[0] in features else sample.features.path
        raise CollidekitError(
            f"{benchmark.folder / where}: has no row with {benchmark.key} {other[0]}; features and truth need the same rows"
        )
    return features


def _keys(path: Path, key: str) -> Array:
    try:
        file = pq.ParquetFile(path)
        if key not in file.schema_arrow.names:
            raise CollidekitError(f"{path}: has no column {key!r}, the key of the benchmark")
        column = file.read(columns=[key]).column(key)
    except (OSError, pa.ArrowException) as error:
        raise CollidekitError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())[:200]})") from None
    if not pa.types.is_integer(column.type) or column.null_count:
        raise CollidekitError(
            f"{path}: the key {key!r} is {column.type} with {column.null_count} missing values, and integers are needed"
        )
    keys = column.to_numpy()
    values, counts = np.unique(keys, return_counts=True)
    if not len(keys):
        raise CollidekitError(f"{path}: has no rows")
    if counts.max() > 1:
        raise CollidekitError(
            f"{path}: the key {key!r} has {values[counts.argmax()]} {counts.max()} times, and each row needs its own"
        )
    if keys.dtype.kind == "u" and keys.max() > MOST_KEY:
        raise CollidekitError(
            f"{path}: the key {key!r} has {keys.max()}, and keys must be at most {MOST_KEY} (2^63 - 1)"
        )
    found: Array = keys.astype(np.int64)
    return found
