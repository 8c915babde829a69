"""Efficiency of assignments: how often all slots of an event, or one of them, hold the right object."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from collidekit.benchmark.scoring.failures import ScoringError, UnfitPredictions
from collidekit.benchmark.scoring.metrics.measured import Measured
from collidekit.benchmark.scoring.metrics.probabilities import fraction
from collidekit.benchmark.scoring.metrics.roc import Rocs
from collidekit.benchmark.scoring.sample import Sample
from collidekit.evaluation.rows import Bools, Ints

ABSENT, UNKNOWN = -1, -2
"""A slot whose object is not in the event, and one whose truth is not known."""


def assignment_efficiency(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Fraction of events whose slots are all right, among those that have all objects (``complete``) or ``all`` events."""
    sample, slots = rocs.sample, list(rocs.sample.plan.columns)
    true, known_slots = _truth(sample, slots)
    known = _all_known(sample, known_slots)
    right = _right(sample, slots, true, settings).all(axis=2)
    complete: Bools = np.asarray((true >= 0).all(axis=1))
    used: Bools = known & complete if settings["events"] == "complete" else known
    return fraction(sample, right & complete, used)


def slot_efficiency(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Fraction of events in which one slot is right, among those that have its object.

    With groups ``alike`` or ``exchange``, the truth of all slots must be known, because the others decide which order counts.
    """
    sample, slots = rocs.sample, list(rocs.sample.plan.columns)
    if settings["slot"] not in slots:
        raise ScoringError(f"slot {settings['slot']!r} is no column of the output; those are {', '.join(slots)}")
    true, known = _truth(sample, slots)
    place = slots.index(settings["slot"])
    grouped = settings["alike"] or settings["exchange"]
    used = _all_known(sample, known if grouped else known[:, [place]])
    right = _right(sample, slots, true, settings)[:, :, place]
    return fraction(sample, right, used & (true[:, place] >= 0))


def _truth(sample: Sample, slots: Sequence[str]) -> tuple[Ints, Bools]:
    """Return true positions (N, S), and where (N, S) they are known."""
    found = np.stack([sample.truth.column(slot) for slot in slots], axis=1)
    known = np.isfinite(found) & (found > UNKNOWN)
    true = np.where(known, found, UNKNOWN).astype(np.int64)
    if (bad := known & (true != found)).any():
        row, slot = np.argwhere(bad)[0]
        raise ScoringError(
            f"{sample.name}: {slots[slot]} of the truth must be a position, a whole number; in row {sample.truth.keys[row]} it is {found[row, slot]:.6g}"
        )
    return true, known


def _all_known(sample: Sample, known: Bools) -> Bools:
    """Return the events (N,) in which all these slots (N, S) have a known truth."""
    found: Bools = np.asarray(known.all(axis=1))
    if not found.any():
        raise ScoringError(f"{sample.name}: the truth is not known for any of {len(known):,} events")
    return found


def _right(sample: Sample, slots: Sequence[str], true: Ints, settings: Mapping[str, Any]) -> Bools:
    """Return which slots (R, N, S) are right, in that order of exchangeable groups in which most of them are.

    Slots of a group ``alike`` are compared as sets.
    """
    found = np.stack([sample.column(slot) for slot in slots], axis=2)
    bad = found != np.rint(found)
    if bad.any():
        run, row, slot = np.argwhere(bad)[0]
        raise UnfitPredictions(
            f"{sample.name}: {slots[slot]} must be the position of an object, a whole number; in row "
            f"{sample.truth.keys[row]} it is {found[run, row, slot]:.6g}"
        )
    alike = [[slots.index(name) for name in group] for group in settings["alike"]]
    orders = _orders(slots, settings["exchange"])
    matches = np.stack([_same(found, true[:, order], alike) for order in orders])  # (O, R, N, S)
    best = matches.sum(axis=3).argmax(axis=0)  # (R, N)
    chosen = np.take_along_axis(matches, best[None, :, :, None], axis=0)[0]
    by_true: Bools = np.zeros_like(chosen)
    for number, order in enumerate(orders):  # a slot is right where its true object was found, in whichever group
        rows = best == number
        for predicted, place in enumerate(order):
            by_true[:, :, place] |= rows & chosen[:, :, predicted]
    return by_true


def _same(found: Any, true: Ints, alike: Sequence[Sequence[int]]) -> Bools:
    """Return which slots (R, N, S) hold their true object; of slots that are alike, whether it is in one of them."""
    same: Bools = (found == true) & (true >= 0)
    for group in alike:
        inside = np.stack([(found[:, :, group] == true[:, [place]][None]).any(axis=2) for place in group], axis=2)
        # an object that is named twice fills one slot only
        ordered = np.sort(found[:, :, group], axis=2)
        distinct = (np.diff(ordered, axis=2) != 0).all(axis=2, keepdims=True)
        same[:, :, group] = np.where(distinct, inside & (true[:, group] >= 0)[None], same[:, :, group])
    return same


def _orders(slots: Sequence[str], exchange: Sequence[Sequence[Sequence[str]]]) -> list[list[int]]:
    """Return the index of the true slot beside each predicted one, for every order of the exchangeable groups."""
    orders = [list(range(len(slots)))]
    for groups in exchange:
        places = [[slots.index(name) for name in group] for group in groups]
        grown = []
        for order in orders:
            for permutation in permutations(places):
                new = list(order)
                for here, there in zip(places, permutation, strict=True):
                    for a, b in zip(here, there, strict=True):
                        new[a] = order[b]
                grown.append(new)
        orders = grown
    return orders
