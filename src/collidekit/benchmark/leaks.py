"""Features that would give the truth away: columns of the truth, and columns from which it follows."""

from collections.abc import Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np

from collidekit.analysis.names import ColumnNames
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError

Array = np.ndarray[Any, Any]

FEWEST = 20
"""Rows of each class that the test of a column needs."""
FEW_VALUES = 20
"""Most values of a column of which each may stand for one class."""


def refuse_truth_columns(
    features: Sequence[str], plan: Plan, available: Sequence[str], truth: set[str], value: Sequence[str]
) -> None:
    """Raise CollidekitError for a feature that classes, targets, the true number or event numbers are made of."""
    names = ColumnNames(available)
    used: dict[str, str] = {}
    for place, expression in plan.expressions.items():
        if place[0] not in ("classes", "targets", "event", "weight", "dilepton") or (
            place[0] == "dilepton" and place[1] == "given"
        ):
            continue
        kind = {"event": "is part of the event number", "weight": "is the event weight"}.get(str(place[0]), "is truth")
        for name in plan.leaves([expression]):
            used[names.find(name) or name] = f"{kind} ({'.'.join(map(str, place[:2]))} of the analysis)"
    used |= dict.fromkeys(truth, "is truth by the format of the file")
    used |= dict.fromkeys(value, "gives the true number (build.value)")
    for name in features:
        if name in used:
            raise CollidekitError(f"build: features: {name!r} {used[name]}; leave it out")


def refuse_revealing(
    columns: Mapping[str, ak.Array],
    labels: Array,
    classes: Sequence[str],
    where: str = "build: features",
    remedy: str = "",
) -> None:
    """Raise CollidekitError for a column from which the class of every row follows: by a cut, or value by value.

    Of lists the length, the smallest and the largest number are looked at. The remedy is to leave the column out, unless another one is given.
    """
    if len(classes) < 2 or min(np.bincount(labels, minlength=len(classes))) < FEWEST:
        return
    for name, column in columns.items():
        for what, values in _numbers(name, column):
            if _separates(values, labels, len(classes)):
                said = remedy or f"leave {name!r} out of the features, it reveals the truth"
                raise CollidekitError(f"{where}: the class of every row follows from {what}; {said}")


def refuse_copies(
    columns: Mapping[str, ak.Array], value: Array, where: str = "build: features", remedy: str = ""
) -> None:
    """Raise CollidekitError for a column that is the true number (N,), up to scale and offset."""
    for name, column in columns.items():
        for what, values in _numbers(name, column):
            good = np.isfinite(values) & np.isfinite(value)
            if good.sum() < FEWEST or not values[good].std() or not value[good].std():
                continue
            if abs(np.corrcoef(values[good], value[good])[0, 1]) > 0.99999:
                said = remedy or f"leave {name!r} out of the features"
                raise CollidekitError(f"{where}: {what} is the true number, up to scale and offset; {said}")


def _numbers(name: str, column: ak.Array) -> list[tuple[str, Array]]:
    """Return numbers (N,) of a column, with their names."""
    if column.fields:
        return [entry for part in column.fields for entry in _numbers(f"{name}.{part}", column[part])]
    if column.ndim == 1:
        return [(repr(name), _flat(column))]
    if "string" in str(column.type):
        return []
    found = [(f"the length of {name!r}", np.asarray(ak.to_numpy(ak.num(column, axis=1))).astype(np.float64))]
    for what, reduce in (("smallest", ak.min), ("largest", ak.max)):
        numbers = ak.fill_none(reduce(column, axis=-1), np.nan)
        if numbers.ndim == 1:
            found.append((f"the {what} of {name!r}", np.asarray(ak.to_numpy(numbers)).astype(np.float64)))
    return found


def _flat(column: ak.Array) -> Array:
    """Return a column (N,) as numbers; texts are numbered in their order, missing values are NaN."""
    values: Any = np.ma.asarray(ak.to_numpy(column))
    if values.dtype.kind in "US":
        return np.unique(values.filled("\0"), return_inverse=True)[1].astype(np.float64)
    found: Array = values.astype(np.float64).filled(np.nan)
    return found


def _separates(values: Array, labels: Array, classes: int) -> bool:
    """Return whether equal values have one class, and the classes are intervals of values or each of few values."""
    distinct, inverse = np.unique(values, return_inverse=True)
    first = np.full(len(distinct), -1)
    first[inverse] = labels
    if not (first[inverse] == labels).all():
        return False
    return len(distinct) <= FEW_VALUES or int((np.diff(first) != 0).sum()) < classes
