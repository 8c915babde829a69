"""Spectators and event numbers with all digits, from the file to the predictions.

Integers stay integers, and all other columns are in double precision. A column may differ between files; its parts are
then converted to one type, or an error says that no type can hold all of them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from collidekit.errors import CollidekitError

Array = np.ndarray[Any, Any]

KINDS = ("int64", "uint64", "float64")
"""Types of an exact column; the later one of two types can hold both."""
LARGEST_INTEGER = 2**53
"""Largest integer up to which double precision holds every integer."""


def exact(values: Array) -> Array:
    """Return a column (N,) as int64, as uint64 if a number is 2^63 or more, or as float64 if it is not an integer column."""
    if values.dtype.kind == "u":
        values = values.astype(np.uint64)
        return values if (values >= np.uint64(1 << 63)).any() else values.astype(np.int64)
    return values.astype(np.int64 if values.dtype.kind in "bi" else np.float64)


def common_kind(kinds: Iterable[str]) -> str:
    """Return the type to which columns of these types are converted."""
    return max(kinds, key=KINDS.index)


def as_kind(values: Array, kind: str, name: str) -> Array:
    """Return a column (N,) as one of KINDS; ``name`` is for the error if this would change a number."""
    if str(values.dtype) == kind:
        return values
    if kind == "float64":
        wrong = values > LARGEST_INTEGER
        wrong |= values < -LARGEST_INTEGER if values.dtype == np.int64 else False
        why = "above 2^53 beside values that are missing or not integers, and one column cannot hold both exactly"
    else:
        wrong, why = values < 0, "negative beside others from 2^63, and no integer type holds both"
    if len(bad := np.flatnonzero(wrong)):
        raise CollidekitError(
            f"{name}: integers such as {values[bad[0]]} are {why}; exclude such rows in the selection, or split the "
            f"number, such as {name} % 1000000 and {name} // 1000000"
        )
    return values.astype(kind)


def join_exact(columns: Sequence[Array], name: str) -> Array:
    """Return columns one after another, in the type that holds all of them."""
    kind = common_kind(str(column.dtype) for column in columns)
    return np.concatenate([as_kind(column, kind, name) for column in columns])
