"""Combination of the predictions of several models for the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.inference.predictions import Array, Predictions
from collidekit.inference.uncertainties import combine_uncertainties

Combination = Literal["mean", "median"]
COMBINATIONS: tuple[Combination, ...] = get_args(Combination)


def check_combination(name: str) -> Combination:
    """Return ``mean`` or ``median``; raise CollidekitError for another name."""
    for known in COMBINATIONS:
        if name == known:
            return known
    raise CollidekitError(
        f"there is no combination {name!r}{did_you_mean(name, COMBINATIONS)}; known are {', '.join(COMBINATIONS)}"
    )


def combine_probabilities(
    members: Sequence[Array], combination: Combination = "mean", used: Array | None = None
) -> Array:
    """Return the probabilities (N, K) of an ensemble from the probabilities of each member.

    With ``mean``, it is the mean of each class. With ``median``, it is the median of each class, divided by the sum
    over the classes, or the mean if all medians are 0. ``used (members, N)`` flags the members that predict a row; the
    default is all.
    """
    if used is not None:
        return _combine_used(members, combination, used)
    if len(members) == 1:
        return members[0]
    stacked = np.stack(members).astype(np.float64)  # (members, N, K)
    combined: Array = stacked.mean(axis=0)
    if combination == "median":
        median = np.median(stacked, axis=0)
        total = median.sum(axis=1, keepdims=True)
        np.divide(median, total, out=combined, where=total > 0)
    return combined.astype(members[0].dtype, copy=False)


def _combine_used(members: Sequence[Array], combination: Combination, used: Array) -> Array:
    """Apply ``combine_probabilities`` to each group of rows with the same members."""
    combined = np.empty_like(members[0])
    patterns, which = np.unique(used, axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        rows = which.reshape(-1) == number
        chosen = [member[rows] for member, counts in zip(members, pattern, strict=True) if counts]
        combined[rows] = combine_probabilities(chosen, combination)
    return combined


def combine(
    members: Mapping[str, Predictions],
    combination: Combination = "mean",
    keep_members: bool = False,
    used: Array | None = None,
) -> Predictions:
    """Return the predictions of an ensemble.

    Probabilities, values and uncertainties are combined (see ``combine_uncertainties``). The assignment of a row is
    taken from the member that gives its assignment the highest probability. Joint densities are left out. All other
    fields are taken from the first member.

    With ``keep_members``, the probabilities of each member are kept, too. ``used (members, N)`` flags the members that
    predict a row; the default is all. Raises CollidekitError if the members do not have the same classes, and the same
    rows in the same order.
    """
    check_same_rows(members)
    name, first = next(iter(members.items()))
    found = {name: first.probabilities}
    for other, predictions in list(members.items())[1:]:
        found[other] = _in_order(name, first, other, predictions)
    kept = found if keep_members else {}
    for other, predictions in list(members.items())[1:]:
        _check_values(name, first, other, predictions)
    values = {
        name: _combine_values([p.values[name] for p in members.values()], combination, used) for name in first.values
    }
    uncertainties = {}
    for value in first.uncertainties:
        values[value], uncertainties[value] = combine_uncertainties(
            [p.uncertainties[value] for p in members.values()],
            [p.values[value] for p in members.values()],
            partial(_combine_values, combination=combination, used=used),
            combination,
        )
    kept_values = {member: dict(p.values) for member, p in members.items()} if keep_members and values else {}
    first = replace(
        first,
        values=values,
        uncertainties=uncertainties,
        densities={},  # the density of the combination is not known
        member_values=kept_values,
        **_most_probable(list(members.values()), used),
    )
    if all(predictions.relegated is None for predictions in members.values()):
        combined = combine_probabilities(list(found.values()), combination, used)
        return replace(first, probabilities=combined, combination=combination, members=kept)
    whole = [
        np.column_stack([values, np.zeros(len(values)) if (part := predictions.relegated) is None else part])
        for values, predictions in zip(found.values(), members.values(), strict=True)
    ]
    combined = combine_probabilities(whole, combination, used)
    return replace(
        first, probabilities=combined[:, :-1], relegated=combined[:, -1], combination=combination, members=kept
    )


def _check_values(name: str, first: Predictions, other: str, predictions: Predictions) -> None:
    """Raise CollidekitError if two members do not estimate the same values with the same truth and unit."""
    if list(predictions.values) != list(first.values):
        theirs, ours = (", ".join(found.values) or "none" for found in (predictions, first))
        raise CollidekitError(
            f"{other}: its values are {theirs}, and {name} has {ours}; members of an ensemble need the same values"
        )
    for value in first.values:
        units = [found.units.get(value, "") for found in (predictions, first)]
        if units[0] != units[1]:
            raise CollidekitError(
                f"{other}: {value!r} has the unit {units[0]!r}, and {units[1]!r} in {name}; members of an ensemble need the same unit"
            )
        forms = [
            p.uncertainties[value].form if value in p.uncertainties else "one number" for p in (predictions, first)
        ]
        if forms[0] != forms[1]:
            raise CollidekitError(
                f"{other}: {value!r} is estimated as {forms[0]}, and as {forms[1]} in {name}; members of an ensemble need the same estimate"
            )
        if not np.array_equal(predictions.truth[value], first.truth[value], equal_nan=True):
            raise CollidekitError(
                f"{other}: the truth of {value!r} differs from {name}; members of an ensemble need the same truth"
            )


def _combine_values(members: Sequence[Array], combination: Combination, used: Array | None) -> Array:
    """Return the mean or median of the estimates (N,) of the members that predict a row."""
    stacked = np.stack(members)
    if used is not None:
        stacked = np.where(used, stacked, np.nan)
    combined: Array = (np.nanmedian if combination == "median" else np.nanmean)(stacked, axis=0)
    return combined


def _most_probable(members: Sequence[Predictions], used: Array | None) -> dict[str, Any]:
    """Return positions and parent probabilities, in each row from the member whose assignment is the most probable."""
    if not members[0].positions:
        return {}
    fields = ("positions", "parent_probabilities")
    for field in fields:
        if any(getattr(member, field).keys() != getattr(members[0], field).keys() for member in members):
            raise CollidekitError(
                "the members have different assignments; members of an ensemble need the same assignments"
            )
    known = members[0].parent_probabilities
    parents = [name.removesuffix("_detection") for name in known if name.endswith("_detection")]
    columns = [name for parent in parents if (name := f"{parent}_assignment") in known]
    found = [[np.log(member.parent_probabilities[name]) for name in columns] for member in members]
    probable = np.stack([np.sum(logarithms, axis=0) for logarithms in found])
    if used is not None:
        probable = np.where(used, probable, -np.inf)
    best = probable.argmax(axis=0)
    rows = np.arange(len(best))
    return {
        field: {
            name: np.stack([getattr(m, field)[name] for m in members])[best, rows]
            for name in getattr(members[0], field)
        }
        for field in fields
    }


def _in_order(name: str, first: Predictions, other: str, predictions: Predictions) -> Array:
    """Return the probabilities with the classes in the order of the first member."""
    if set(predictions.classes) != set(first.classes):
        theirs, ours = (", ".join(found.classes) or "none" for found in (predictions, first))
        raise CollidekitError(
            f"{other}: its classes are {theirs}, and {name} has {ours}; members of an ensemble need the same classes"
        )
    return predictions.probabilities[:, [predictions.classes.index(c) for c in first.classes]]


def check_same_rows(members: Mapping[str, Predictions]) -> None:
    """Raise CollidekitError if members of an ensemble have not predicted the same rows in the same order."""
    name, first = next(iter(members.items()))
    for other, predictions in list(members.items())[1:]:
        _check_rows(name, first, other, predictions)


def _check_rows(name: str, first: Predictions, other: str, predictions: Predictions) -> None:
    ours, theirs = (np.stack([p.event["file"], p.event["row"]], axis=1) for p in (first, predictions))
    shared = min(len(ours), len(theirs))
    differs = np.flatnonzero((ours[:shared] != theirs[:shared]).any(axis=1))
    if len(ours) == len(theirs) and not len(differs):
        return
    at = differs[0] if len(differs) else shared
    file, row = (ours if len(ours) > at else theirs)[at]
    raise CollidekitError(
        f"{other}: selects other rows than {name} ({len(theirs):,} and {len(ours):,}; the first that differs is row {row} of "
        f"file {file + 1}); members of an ensemble need the same selection"
    )
