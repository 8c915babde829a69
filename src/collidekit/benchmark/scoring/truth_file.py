"""The truth of a sample from its Parquet file."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from collidekit.benchmark.scoring.truth import WEIGHT, Array, Truth, make_truth
from collidekit.errors import CollidekitError


def read_truth(path: Path, key: str, sha256: str = "") -> Truth:
    """Read a Parquet file with the key, true columns and optional weights; the checksum must be the one of the benchmark."""
    try:
        content = path.read_bytes()
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            raise CollidekitError(f"{path}: the truth does not have the SHA-256 that the benchmark file gives")
        table = pq.read_table(pa.BufferReader(content))
    except (OSError, pa.ArrowException) as error:
        raise CollidekitError(f"{path}: cannot be read as Parquet ({error})") from None
    if key not in table.column_names:
        raise CollidekitError(f"{path}: the key {key!r} is missing; columns are {', '.join(table.column_names)}")
    for name in table.column_names:
        if table[name].null_count:
            raise CollidekitError(f"{path}: column {name} has {table[name].null_count:,} empty rows")
        if pa.types.is_nested(table[name].type):
            raise CollidekitError(
                f"{path}: column {name} holds lists ({table[name].type}); the truth needs one number or text in each row"
            )
    columns = {name: _numpy(table[name]) for name in table.column_names}
    keys, weights = columns.pop(key), columns.pop(WEIGHT, None)
    return make_truth(keys, columns, weights, str(path))


def _numpy(column: pa.ChunkedArray) -> Array:
    """Return a column (N,); decimal numbers are Python objects in pyarrow, and become floating point here."""
    decimal = pa.types.is_decimal(column.type)
    return np.asarray(column.cast(pa.float64()).to_numpy() if decimal else column.to_numpy())


def read_keys(path: Path, key: str) -> Array:
    """Return the keys (N,) of a Parquet file, in its order."""
    try:
        return np.asarray(pq.read_table(path, columns=[key])[key].to_numpy())
    except (OSError, KeyError, pa.ArrowException) as error:
        raise CollidekitError(f"{path}: the key {key!r} cannot be read ({error})") from None
