"""Shifted samples: columns of files replaced by expressions, to measure how robust a tagger is."""

from typing import Any

import awkward as ak
import numpy as np

from collidekit.analysis.expressions import Expression
from collidekit.analysis.scope import Plan, Scope
from collidekit.benchmark.build_plan import Source
from collidekit.dataset.hashing import hashed
from collidekit.errors import CollidekitError, did_you_mean

Array = np.ndarray[Any, Any]

NORMAL = "normal"


def shifted(chunk: ak.Array, plan: Plan, source: Source, seed: int, path: str, entries: Array) -> ak.Array:
    """Return a chunk of which lists keep some entries, and whose columns are then replaced one after another.

    A later expression uses the columns as shifted before it. ``normal`` is a standard normal random number for each entry of
    the column that is replaced; columns whose lists are of the same lengths have the same numbers, so that the components of a
    momentum can be scaled together. ``entries`` (N,) are the entries of the file ``path`` that the rows come from.
    """
    if source.keep:
        chunk = _kept(chunk, _value(chunk, plan, source.keep, "keep", None, seed, path, entries), source.keep)
    for name, text in source.shift.items():
        if name not in chunk.fields:
            raise CollidekitError(
                f"build: shift: there is no column {name!r} in {path}{did_you_mean(name, chunk.fields)}"
            )
        like = chunk[name]
        value = _value(chunk, plan, text, f"shift: {name}", like, seed, path, entries)
        if value.ndim > like.ndim:
            raise CollidekitError(f"build: shift: {name}: {text!r} is a list in each row, and the column is one number")
        try:
            value = ak.broadcast_arrays(value, like)[0]
        except ValueError:
            raise CollidekitError(
                f"build: shift: {name}: {text!r} has lists of other lengths than the column"
            ) from None
        kind = str(ak.type(ak.flatten(like, axis=None))).rpartition(" ")[2]
        chunk = ak.with_field(chunk, ak.values_astype(value, kind), name)
    return chunk


def _value(
    chunk: ak.Array, plan: Plan, text: str, where: str, like: ak.Array | None, seed: int, path: str, entries: Array
) -> ak.Array:
    """An expression on the columns of a chunk, as an array with an entry for each row."""
    expression = Expression(text, f"build: {where}")
    columns: dict[str, Any] = {field: chunk[field] for field in chunk.fields}
    if NORMAL in expression.names:
        if NORMAL in columns or like is None:
            raise CollidekitError(
                f"build: {where}: {NORMAL!r} is a random number for 'shift', and cannot be used here or be a column"
            )
        columns[NORMAL] = _normal(like, entries, seed)
    scope = Scope(plan, columns, path, entries)
    if unknown := [name for name in plan.leaves([expression]) if name not in scope]:
        raise CollidekitError(
            f"build: {where}: there is no column {unknown[0]!r}{did_you_mean(unknown[0], list(scope))}"
        )
    value = scope.value(expression)
    return value if isinstance(value, ak.Array) else ak.Array(np.broadcast_to(np.asarray(value), (len(chunk),)))


def _kept(chunk: ak.Array, mask: ak.Array, text: str) -> ak.Array:
    if mask.ndim != 2 or "bool" not in str(ak.type(mask)):
        raise CollidekitError(f"build: keep: {text!r} is no condition on the entries of lists")
    counts = ak.num(mask, axis=1)
    for name in chunk.fields:
        column = chunk[name]
        if column.ndim == 2 and ak.all(ak.num(column, axis=1) == counts):
            chunk = ak.with_field(chunk, column[mask], name)
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
