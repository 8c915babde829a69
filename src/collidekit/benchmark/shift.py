"""Shifted samples: columns of files replaced by expressions, to measure how robust a tagger is."""

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np

from collidekit.analysis.expressions import Expression
from collidekit.analysis.scope import Plan, Scope
from collidekit.dataset.hashing import hashed
from collidekit.errors import CollidekitError, did_you_mean

Array = np.ndarray[Any, Any]

NORMAL = "normal"


def shifted(chunk: ak.Array, plan: Plan, shift: Mapping[str, str], seed: int, path: str, entries: Array) -> ak.Array:
    """Return a chunk whose columns are replaced one after another; a later expression uses the columns as shifted before it.

    ``normal`` is a standard normal random number for each entry of the column that is replaced; columns whose lists are of
    the same lengths have the same numbers, so that the components of a momentum can be scaled together. ``entries`` (N,) are
    the entries of the file ``path`` that the rows of the chunk come from.
    """
    for name, text in shift.items():
        if name not in chunk.fields:
            raise CollidekitError(
                f"build: shift: there is no column {name!r} in {path}{did_you_mean(name, chunk.fields)}"
            )
        expression = Expression(text, f"build: shift: {name}")
        columns: dict[str, Any] = {field: chunk[field] for field in chunk.fields}
        if NORMAL in expression.names:
            if NORMAL in columns:
                raise CollidekitError(f"build: shift: {path} has a column {NORMAL!r}, which is a random number here")
            columns[NORMAL] = _normal(chunk[name], entries, seed)
        scope = Scope(plan, columns, path, entries)
        if unknown := sorted(expression.names - set(scope)):
            raise CollidekitError(
                f"build: shift: {name}: there is no column {unknown[0]!r}{did_you_mean(unknown[0], list(scope))}"
            )
        value = scope.value(expression)
        like = chunk[name]
        if not isinstance(value, ak.Array):
            value = np.broadcast_to(np.asarray(value), (len(chunk),))
        try:
            value = ak.broadcast_arrays(value, like)[0]
        except ValueError:
            raise CollidekitError(
                f"build: shift: {name}: {text!r} has lists of other lengths than the column"
            ) from None
        kind = str(ak.type(ak.flatten(like, axis=None))).rpartition(" ")[2]
        chunk = ak.with_field(chunk, ak.values_astype(value, kind), name)
    return chunk


def _normal(like: ak.Array, entries: Array, seed: int) -> ak.Array:
    """Standard normal numbers of the shape of a column, which depend on seed, row and place alone (Box-Muller)."""
    counts = np.asarray(ak.num(like, axis=1)) if like.ndim > 1 else np.ones(len(like), dtype=np.int64)
    rows = np.repeat(entries, counts)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    bits = [hashed(rows, seed, salt) for salt in (1, 2)]
    bits = [hashed((part ^ place.astype(np.uint64)).view(np.int64), salt) for salt, part in enumerate(bits, 3)]
    u, v = ((part >> np.uint64(11)).astype(np.float64) / (1 << 53) for part in bits)
    values = np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v)
    return ak.unflatten(values, counts) if like.ndim > 1 else ak.Array(values)
