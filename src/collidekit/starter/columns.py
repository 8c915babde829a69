"""Columns of a file with sampled values, and their meaning by name, type and values."""

import re
from collections.abc import Collection as AnyOf
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.functions import CONSTANTS
from collidekit.analysis.names import ColumnNames, quoted, simple_name
from collidekit.analysis.scope import BUILT_IN
from collidekit.starter.event_numbers import is_event_name, numbers_rows
from collidekit.starter.left_out import WEIGHT, reason

_TRIGGER = re.compile(r"^n?(HLT|HLTriggerFirst|HLTriggerFinal|L1|Flag|DST)(_|Path)")
_MASK = re.compile(r"(^|_)(mask|valid)$", re.IGNORECASE)


def plain_name(name: str) -> str:
    """Return a name in letters, digits and ``_`` that does not begin with a digit."""
    plain = simple_name(name)
    return plain if plain.isidentifier() else f"_{plain}"


@dataclass
class Column:
    """One column and a sample of its values: numbers (N,), or all members of its lists one after the other."""

    name: str
    """Name in expressions, in backticks if needed."""
    columntype: str
    values: NDArray[Any]
    counts: NDArray[np.int64] | None = None
    """Lengths of the lists (N,)."""

    @property
    def plain(self) -> str:
        """The name in letters, digits and ``_``."""
        return plain_name(self.name.strip("`"))

    @property
    def is_list(self) -> bool:
        return self.counts is not None

    @property
    def finite(self) -> NDArray[Any]:
        return self.values[np.isfinite(self.values)] if self.values.dtype.kind == "f" else self.values

    @property
    def distinct(self) -> NDArray[Any]:
        return np.unique(self.finite)

    @property
    def integral(self) -> bool:
        """True if all values are integers, for any type."""
        return self.values.dtype.kind != "f" or bool(len(self.finite) and (self.finite == np.round(self.finite)).all())

    @property
    def why_not(self) -> str:
        """Reason why this is not an input; empty if it may be one."""
        if len(self.distinct) < 2:
            return "has the same value in all sampled rows"
        return reason(self.plain)


def is_mask(column: Column) -> bool:
    """Return whether the name of a column is that of a mask. The mask of padding is a list; other masks are something else."""
    return bool(_MASK.search(column.plain))


@dataclass
class Lists:
    """A collection of constituents, tracks or vertices: lists of the same lengths."""

    name: str
    columns: dict[str, Column] = field(default_factory=dict)
    where: str = ""
    """Condition for real members, if the lists are padded."""
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Number of real members of each row (N,)."""


def expression_names(names: AnyOf[str]) -> dict[str, str]:
    """Return the name of each column in expressions: without backticks if this is unambiguous, else in backticks."""
    known = ColumnNames(names)
    reserved = {*CONSTANTS, *BUILT_IN}
    found = {}
    for name in names:
        bare = name.isidentifier() and not iskeyword(name) and name not in reserved and known.find(name) == name
        found[name] = name if bare or name.startswith("`") else quoted(name)
    return found


def sampled(name: str, columntype: str, array: ak.Array) -> Column | None:
    """Return a column with the values of an array; None for lists of lists, which an analysis file cannot use."""
    if array.ndim > 2:
        return None
    if array.ndim == 2:
        return Column(name, columntype, ak.to_numpy(ak.flatten(array, axis=1)), ak.to_numpy(ak.num(array, axis=1)))
    return Column(name, columntype, ak.to_numpy(array))


def without_numbered(columns: dict[str, Column]) -> dict[str, Column]:
    """Return the columns without the members ``pt_0``, ``pt_1`` ... of lists that are also columns."""
    lists = {column.plain for column in columns.values() if column.is_list}
    return {name: c for name, c in columns.items() if c.is_list or re.sub(r"_\d+$", "", c.plain) not in lists}


def first_part(name: str) -> str:
    """Return the prefix of a name, such as ``trk`` of ``trk_pt`` or ``INPUTS_Jets`` of ``INPUTS_Jets_pt``; empty without one."""
    first, _, rest = name.partition("_")
    if first in ("INPUTS", "TARGETS", "REGRESSIONS", "CLASSIFICATIONS") and "_" in rest:
        return f"{first}_{rest.partition('_')[0]}"
    return first if rest else ""


def group_lists(columns: dict[str, Column]) -> list[Lists]:
    """Group lists of the same lengths and the same prefix. Lists with varying but equal lengths are joined for all prefixes."""
    groups: dict[tuple[bytes, str], Lists] = {}
    for column in columns.values():
        if column.counts is None:
            continue
        varied = len(column.counts) >= 50 and len(np.unique(column.counts)) > 3
        key = (column.counts.tobytes(), "" if varied else first_part(column.plain))
        groups.setdefault(key, Lists("", counts=column.counts)).columns[column.name] = column
    found = list(groups.values())
    for group in found:
        prefixes = [first_part(column.plain) for column in group.columns.values()]
        common = max(set(prefixes), key=prefixes.count)
        name = common if common and prefixes.count(common) > len(prefixes) / 2 else "constituents"
        group.name = name.removeprefix("INPUTS_")
        mask_padding(group)
    for number, group in enumerate(found):
        if group.name in [other.name for other in found[:number]]:
            group.name = f"{group.name}_{number}"
    return sorted(found, key=lambda group: -int(group.counts.sum()))


def mask_padding(group: Lists) -> None:
    """Remove a column MASK or valid from a collection, and use it as the condition for real members."""
    found = [column for column in group.columns.values() if _MASK.search(column.plain)]
    if len(found) != 1 or len(group.columns) < 2 or not set(found[0].distinct.tolist()) <= {0, 1}:
        return
    keep_members(group, f"{found[0].name} == 1", found[0].values.astype(bool))
    del group.columns[found[0].name]


def keep_members(group: Lists, condition: str, keep: NDArray[np.bool_]) -> None:
    """Keep only the members (T,) of a collection that pass a condition."""
    rows = np.repeat(np.arange(len(group.counts)), group.counts)
    group.where, group.counts = condition, np.bincount(rows[keep], minlength=len(group.counts))
    for name, column in group.columns.items():
        group.columns[name] = Column(name, column.columntype, column.values[keep], group.counts)


def is_event_number(column: Column) -> bool:
    return is_event_name(column.plain) and column.values.dtype.kind in "iu"


def is_row_number(column: Column) -> bool:
    """Return whether a column of the row numbers rows or events, judging from its values."""
    return not column.is_list and numbers_rows(column.plain, column.values)


def is_weight(column: Column) -> bool:
    return bool(WEIGHT.search(column.plain))


def is_trigger(column: Column) -> bool:
    return bool(_TRIGGER.match(column.plain))


def is_counter(column: Column, lists: list[Lists]) -> bool:
    """Return whether a column is the length of a collection: by its name (``nJet``, ``nJet_pt``) or by equal values."""
    name = column.plain
    for group in lists:
        if len(column.values) == len(group.counts) and np.array_equal(column.values, group.counts):
            return True
        plain = [one.plain for one in group.columns.values()]
        if name.startswith("n") and name[1:] in (group.name, *plain, *map(first_part, plain)):
            return True
    return False


def is_place(column: Column, lists: list[Lists]) -> bool:
    """Return whether a column holds indices of list members: integers from 0 to less than the length, and -1 in some rows."""
    longest = max(
        (int(c.counts.max(initial=0)) for group in lists for c in group.columns.values() if c.counts is not None),
        default=0,
    )
    found = column.distinct
    return bool(column.integral and len(found) > 3 and found[0] == -1 and 1 < found[-1] < longest)
