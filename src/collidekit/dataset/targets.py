"""Truth of targets: integers of each constituent (its class or vertex), and numbers of rows."""

from collections.abc import Sequence
from typing import Any

import awkward as ak
import numpy as np

from collidekit.analysis.expressions import Expression
from collidekit.analysis.scope import Plan, Scope, flat_values
from collidekit.analysis.targets import PLACE, Assignment, MemberClasses
from collidekit.dataset.unroll import same_lengths
from collidekit.errors import CollidekitError

Array = np.ndarray[Any, Any]

NONE = -1
"""A constituent in no class, or of no vertex."""
UNKNOWN = -2
"""A constituent whose vertex is NaN or infinite in the file."""


def make_targets(plan: Plan, scope: Scope, collection: str, counts: Array, with_truth: bool) -> Array:
    """Return the integer columns (T, K) int32 of all constituents of a collection, with ``counts`` (N,) in each row.

    See ``Analysis.target_columns``. Without truth, the columns of targets are UNKNOWN.
    """
    columns: list[Array] = []
    for name, target in plan.analysis.targets_of(collection).items():
        if not with_truth:
            columns.append(np.full(int(counts.sum()), UNKNOWN, dtype=np.int32))
            continue
        expressions = plan.under("targets", name)
        lists = [_list(scope, collection, expression, counts) for expression in expressions]
        if isinstance(target, MemberClasses):
            columns.append(_classes(scope, f"target {name!r}", list(target.classes), expressions, lists, counts))
        else:
            columns.append(_vertices(scope, f"target {name!r}", expressions[0], lists[0], counts))
    if PLACE in plan.analysis.target_columns(collection):
        places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        columns.append(places.astype(np.int32))
    return np.stack(columns, axis=1)


def make_truth(plan: Plan, scope: Scope, keep_all: bool) -> dict[str, Array]:
    """Return the numbers (N, V) of each target of rows, with NaN for unknown ones; with ``keep_all``, files may lack them."""
    truth = {}
    for name, target in plan.analysis.row_targets.items():
        expressions = plan.under("targets", name)
        if keep_all and not all(plan.available(expression.names, scope) for expression in expressions):
            truth[name] = np.full((scope.rows, len(target.values)), np.nan)
            continue
        numbers = [scope.numbers(expression) for expression in expressions]
        if isinstance(target, Assignment):
            _no_conditions(name, expressions, numbers)
        values = np.stack([found.astype(np.float64) for found in numbers], axis=1)
        truth[name] = np.where(np.isfinite(values), values, np.nan)
        if isinstance(target, Assignment):
            truth[name] = _positions(plan, scope, name, target, truth[name])
    return truth


def _no_conditions(name: str, expressions: Sequence[Expression], numbers: Sequence[Array]) -> None:
    """Raise CollidekitError if the position of a constituent is a condition, which is not a number."""
    for expression, values in zip(expressions, numbers, strict=True):
        if values.dtype == bool:
            raise CollidekitError(
                f"{expression.where}: target {name!r}: {expression.text!r} is a condition; the position of a constituent is needed"
            )


def _positions(plan: Plan, scope: Scope, name: str, target: Assignment, values: Array) -> Array:
    """Return the positions (N, slots) of the constituents in the slots, NONE for constituents that are not in the event.

    Raises CollidekitError for a position that is not an integer or beyond the collection, and for two slots with one constituent.
    """
    collections = [target.collection_of(parent, slot) for parent, slots in target.parents.items() for slot in slots]
    for v, (expression, collection) in enumerate(zip(plan.under("targets", name), collections, strict=True)):
        with np.errstate(invalid="ignore"):
            bad = (values[:, v] != np.floor(values[:, v])) & ~np.isnan(values[:, v])
            beyond = values[:, v] >= collection_counts(plan, scope, collection)
        for wrong, what in ((bad, "is not an integer"), (beyond, f"is beyond the last of the {collection}")):
            if len(rows := np.flatnonzero(wrong)):
                raise CollidekitError(
                    f"{expression.where}: target {name!r}: {scope.place(rows[0])}: {expression.text!r} is "
                    f"{values[rows[0], v]:g}, which {what}; it must be a position from 0, or negative for none"
                )
    found = np.where(values < 0, NONE, values)
    slots = list(target.values)
    for a in range(len(slots)):
        for b in range(a):
            same = (found[:, a] == found[:, b]) & (found[:, a] >= 0) & (collections[a] == collections[b])
            if len(rows := np.flatnonzero(same)):
                raise CollidekitError(
                    f"{scope.place(rows[0])}: target {name!r}: {slots[b]} and {slots[a]} are the same constituent "
                    f"{found[rows[0], a]:g}; give each slot its own constituent, or the position -1 for none"
                )
    return found


def collection_counts(plan: Plan, scope: Scope, collection: str) -> Array:
    """Return the number of constituents (N,) of the rows in the file."""
    for expression in plan.under("inputs", collection):
        value = scope.value(expression)
        if isinstance(value, ak.Array) and value.ndim > 1:
            return np.asarray(ak.to_numpy(ak.num(value, axis=1)))
    raise CollidekitError(f"{scope.path}: no feature of collection {collection!r} is a list")


def _list(scope: Scope, collection: str, expression: Expression, counts: Array) -> Array:
    """Return the expression for each constituent (T,)."""
    value = scope.value(expression)
    if isinstance(value, ak.Array) and value.ndim > 2:
        raise CollidekitError(f"{expression.where}: {expression.text!r}: is a list of lists in each row")
    if isinstance(value, ak.Array) and value.ndim > 1:
        same_lengths({collection: counts, expression.text: ak.to_numpy(ak.num(value, axis=1))}, scope.place)
    return flat_values(value, counts)


def _classes(
    scope: Scope, what: str, names: list[str], expressions: Sequence[Expression], lists: Sequence[Array], counts: Array
) -> Array:
    """Return the class of each constituent (T,), NONE if no condition holds; two classes for one constituent are an error."""
    found = np.full(int(counts.sum()), NONE, dtype=np.int32)
    for k, (expression, values) in enumerate(zip(expressions, lists, strict=True)):
        mask = values.astype(bool) & ~np.isnan(values)
        if len(twice := np.flatnonzero(mask & (found != NONE))):
            raise CollidekitError(
                f"{expression.where}: {what}: classes {names[found[twice[0]]]!r} and {names[k]!r} overlap: "
                f"{_constituent(scope, counts, twice[0])} is in both"
            )
        found[mask] = k
    return found


def _vertices(scope: Scope, what: str, expression: Expression, values: Array, counts: Array) -> Array:
    """Return the vertex number of each constituent (T,): NONE for negative numbers, UNKNOWN for NaN and infinity."""
    known = np.isfinite(values) if values.dtype.kind == "f" else np.ones(len(values), dtype=bool)
    whole = np.where(known, values, 0)
    if len(bad := np.flatnonzero((whole != np.floor(whole)) | (whole >= 1 << 31))):
        raise CollidekitError(
            f"{expression.where}: {what}: {expression.text!r} is {values[bad[0]]} for "
            f"{_constituent(scope, counts, bad[0])}; it must be an integer below 2^31, negative for none"
        )
    return np.where(known, np.maximum(whole, NONE), UNKNOWN).astype(np.int32)


def _constituent(scope: Scope, counts: Array, position: int) -> str:
    """Return ``constituent 3 of rows.root: row 12``, counted from 0 in the order of the file."""
    ends = np.cumsum(counts)
    row = int(np.searchsorted(ends, position, side="right"))
    return f"constituent {position - (ends[row] - counts[row])} of {scope.place(row)}"
