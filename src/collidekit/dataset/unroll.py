"""Rows inside events: the jets of an event become rows, and collections with an index of the jet become lists of its row."""

from collections.abc import Callable, Mapping
from typing import Any

import awkward as ak
import numpy as np

from collidekit.analysis.expressions import Expression
from collidekit.analysis.scope import Plan, Scope
from collidekit.errors import CollidekitError

Array = np.ndarray[Any, Any]
Place = Callable[[int], str]
"""Returns the file and entry of an event or row, for errors."""


def unroll(plan: Plan, columns: Mapping[str, ak.Array], path: str, entries: Array) -> Scope:
    """Return the columns of E events as columns of their N rows: ``Jet_pt`` of each jet, ``MET_pt`` of its event.

    The jets of an event share its lists, which are not copied.
    """

    def place(event: int) -> str:
        return f"{path}: row {entries[event]}"

    jets = _lists_of(columns, plan.analysis.rows or "")
    if not jets:
        raise CollidekitError(f"{path}: no branch of the collection in 'rows' holds lists")
    counts = same_lengths(_lengths(jets), place)
    event = np.repeat(np.arange(len(entries)), counts)
    rows: dict[str, Any] = {name: ak.flatten(values, axis=1) for name, values in jets.items()}
    for name, index in plan.members.items():
        if index.text not in columns:
            continue
        if (numbers := columns[index.text]).ndim != 2:
            raise CollidekitError(f"{index.where}: {path}: {index.text} must be a list of integers in each event")
        rows |= _members(_lists_of(columns, name), numbers, index, counts, place)
    rows |= {name: values[event] for name, values in columns.items() if name not in rows}
    rows["row_index"] = np.arange(len(event)) - (np.cumsum(counts) - counts)[event]
    return Scope(plan, rows, path, entries[event])


def same_lengths(lengths: Mapping[str, Array], place: Place) -> Array:
    """Return the lengths (N,) of all lists of a collection; an error names the row if two lists differ."""
    first, counts = next(iter(lengths.items()))
    for name, other in lengths.items():
        if len(rows := np.flatnonzero(other != counts)):
            raise CollidekitError(
                f"{place(rows[0])}: lists of different lengths in one collection: {first!r} has "
                f"{counts[rows[0]]}, {name!r} has {other[rows[0]]}"
            )
    return counts


def _lists_of(columns: Mapping[str, ak.Array], collection: str) -> dict[str, ak.Array]:
    return {name: values for name, values in columns.items() if name.startswith(f"{collection}_") and values.ndim > 1}


def _lengths(lists: Mapping[str, ak.Array]) -> dict[str, Array]:
    return {name: ak.to_numpy(ak.num(values, axis=1)) for name, values in lists.items()}


def _members(
    lists: Mapping[str, ak.Array], numbers: ak.Array, index: Expression, counts: Array, place: Place
) -> dict[str, ak.Array]:
    """Return lists of E events as lists of their jets, with ``counts`` (E,) jets per event, in the order of the event.

    A member belongs to the jet of its event with its index, and to no jet if the index is negative.
    """
    event = np.repeat(np.arange(len(counts)), same_lengths(_lengths({index.text: numbers, **lists}), place))
    given = np.asarray(ak.flatten(numbers, axis=1))
    with np.errstate(invalid="ignore"):
        jet = given.astype(np.int64)
    if len(bad := np.flatnonzero((jet != given) | (given.dtype == bool))):
        said = f"{index.text} is {given[bad[0]]}; it must be an integer"
        raise CollidekitError(f"{index.where}: {place(event[bad[0]])}: {said}")
    if len(bad := np.flatnonzero(jet >= counts[event])):
        said = f"{index.text} is {jet[bad[0]]}, but the event has {counts[event[bad[0]]]} rows"
        raise CollidekitError(f"{index.where}: {place(event[bad[0]])}: {said}")
    row = (np.cumsum(counts) - counts)[event] + jet
    members = np.flatnonzero(jet >= 0)
    members = members[np.argsort(row[members], kind="stable")]
    sizes = np.bincount(row[members], minlength=counts.sum())
    return {name: ak.unflatten(ak.flatten(values, axis=1)[members], sizes) for name, values in lists.items()}
