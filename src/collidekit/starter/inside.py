"""Rows inside events: jets with truth become the rows, and their constituents become lists."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collidekit.starter.columns import Column, Lists, first_part, group_lists
from collidekit.starter.guessed import Guess
from collidekit.starter.label import Label, find_label

_OF_JETS = re.compile(r"flav|LabDr|label|(^|_)is[A-Z_]", re.IGNORECASE)
_NEAR = re.compile(r"_jetIdx$", re.IGNORECASE)


@dataclass(frozen=True)
class Nested:
    """Lists of lists, such as the tracks of each jet of an event: how many lists each row has (N,), and these lists."""

    outer: NDArray[np.int64]
    column: Column


def rows_in_events(
    found: Guess, numbers: dict[str, Column], lists: list[Lists], nested: Mapping[str, Nested]
) -> tuple[dict[str, Column], list[Lists]]:
    """Make the members of a collection the rows if only this collection has a label (``Jet_hadronFlavour``)."""
    labelled: dict[str, tuple[Label, Lists]] = {}
    for group in lists:
        for start in dict.fromkeys(first_part(column.plain) for column in group.columns.values()):
            candidates = [c for name, c in group.columns.items() if start and name.startswith(f"{start}_")]
            if (label := find_label(candidates)) and _OF_JETS.search(label.columns[0]):
                labelled[start] = (label, group)
    jets = [name for name in labelled if "jet" in name.lower()] or list(labelled)
    if not jets:
        return numbers, lists
    name = next((n for n in ("Jet", "jet", "jets") if n in jets), min(jets, key=len))
    found.rows, (found.label, group) = name, labelled[name]
    found.left_out = list(dict.fromkeys(n for other in lists if other is not group for n in _names_of(other)))
    members = {n: Column(n, c.columntype, c.values) for n, c in group.columns.items() if n.startswith(f"{name}_")}
    inside = [_member_lists(found, other, name, group.counts) for other in lists if other is not group]
    inside += _nested_lists(found, nested, name, group.counts)
    return members, [one for one in inside if one is not None]


def _member_lists(found: Guess, group: Lists, rows: str, counts: NDArray[np.int64]) -> Lists | None:
    """Return the members of a collection as lists of their rows, by the index of the row; None without such an index."""
    index = next(
        (
            c
            for n, c in group.columns.items()
            if _NEAR.search(c.plain) and n.startswith(group.name) and group.name.startswith(rows)
        ),
        None,
    )
    if index is None:
        return None
    event = np.repeat(np.arange(len(group.counts)), group.counts)
    if (index.values >= counts[event]).any():
        return None
    row = (np.cumsum(counts) - counts)[event] + index.values
    order = np.flatnonzero(index.values >= 0)
    order = order[np.argsort(row[order], kind="stable")]
    sizes = np.bincount(row[order], minlength=int(counts.sum()))
    columns = {
        n: Column(n, c.columntype, c.values[order], sizes) for n, c in group.columns.items() if n.startswith(group.name)
    }
    found.members[group.name] = index.name
    found.left_out = [name for name in found.left_out if name != group.name]
    return Lists(group.name, columns, counts=sizes)


def _nested_lists(found: Guess, nested: Mapping[str, Nested], rows: str, counts: NDArray[np.int64]) -> list[Lists]:
    """Return lists of lists whose names begin with the name of the rows, such as ``jet_trk_pt``."""
    usable = {
        name: one.column
        for name, one in nested.items()
        if name.startswith(f"{rows}_") and np.array_equal(one.outer, counts)
    }
    others = [name for name in nested if name not in usable]
    if others:
        found.doubts.append(
            f"lists of lists whose names do not begin with {rows}_ cannot be used as lists of a {rows}: {', '.join(others[:6])}"
        )
    groups = group_lists(usable)
    for group in groups:
        inner = [first_part(column.plain[len(rows) + 1 :]) for column in group.columns.values()]
        group.name = f"{rows}_{max(set(inner), key=inner.count) or 'members'}"
    return groups


def _names_of(group: Lists) -> list[str]:
    """Return the name of a collection; for unrelated lists of equal lengths, the prefixes of their names."""
    if not group.name.startswith("constituents"):
        return [group.name]
    return [first_part(column.plain) or column.plain for column in group.columns.values()]
