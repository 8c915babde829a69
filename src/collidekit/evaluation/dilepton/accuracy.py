"""Accuracy of the jet assignment of each method: accuracy, precision, recall and F1."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from collidekit.evaluation.binomial import Efficiencies, Efficiency, binned_efficiency, efficiency
from collidekit.evaluation.dilepton.sample import Sample
from collidekit.evaluation.rows import Bools, Floats


@dataclass(frozen=True)
class Number:
    """A number with its statistical error."""

    value: float
    error: float


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Fractions of right assignments of one method; None if no event has a known truth.

    ``all`` refers to all events with known true jets, ``matchable`` to events that contain both true jets.
    """

    method: str
    both: Mapping[str, Efficiency | None]
    """Both jets are right, each with its lepton; among ``all`` and ``matchable``."""
    either: Mapping[str, Efficiency | None]
    """Both jets are right, with any lepton (selection accuracy)."""
    order: Efficiency | None
    """Fraction of the events with the right two jets in which each jet is assigned to its lepton."""
    slots: Mapping[str, Mapping[str, Efficiency | None]]
    """The jet is right, for each slot; ``matchable`` refers to the events that contain this jet."""
    answered: Efficiency | None
    """Number of events with two jets."""
    precision: Efficiency | None
    """Fraction of right events among the events with a solution."""
    recall: Efficiency | None
    """Fraction of right events among the events that contain both true jets; the same as ``both`` of matchable events."""
    f1: Number | None
    """Harmonic mean of precision and recall."""


@dataclass(frozen=True, eq=False)
class Flags:
    """Flags of the events (N,) for one method."""

    both: Bools
    either: Bools
    slots: tuple[Bools, Bools]
    answered: Bools


def flags(sample: Sample, method: str) -> Flags:
    """Compare the jets of a method with the true ones; an event without a true jet is never right."""
    found, true = sample.positions[method], sample.true_positions
    there = true >= 0
    slots = (found == true) & there
    either = (np.sort(found, axis=1) == np.sort(true, axis=1)).all(axis=1) & there.all(axis=1)
    return Flags(
        np.asarray(slots.all(axis=1)), np.asarray(either), (slots[:, 0], slots[:, 1]), np.asarray((found >= 0).all(axis=1))
    )  # fmt: skip


def measure_accuracy(sample: Sample, method: str) -> Accuracy:
    """Return the fractions of right events for a method, with binomial errors of the weighted events."""
    own, known, matchable = flags(sample, method), sample.known, sample.matchable

    def of(right: Bools, among: Bools) -> Efficiency | None:
        weights = sample.weights[among]
        return efficiency(right[among], weights) if weights.sum() > 0 else None

    slots = {
        name: {
            "all": of(own.slots[k], known),
            "matchable": of(own.slots[k], known & (sample.true_positions[:, k] >= 0)),
        }
        for k, name in enumerate(sample.slots)
    }
    return Accuracy(
        method,
        {"all": of(own.both, known), "matchable": of(own.both, matchable)},
        {"all": of(own.either, known), "matchable": of(own.either, matchable)},
        of(own.both, own.either),
        slots,
        of(own.answered, known),
        of(own.both, known & own.answered),
        of(own.both, matchable),
        _f1(sample.weights[known], own.both[known], (own.answered & known)[known], matchable[known]),
    )


def _f1(weights: Floats, right: Bools, answered: Bools, matchable: Bools) -> Number | None:
    """Return 2 right / (answered + matchable), with the error of the weighted ratio to first order."""
    below = answered.astype(np.float64) + matchable
    total = float(weights @ below)
    if total <= 0:
        return None
    value = float(2 * (weights @ right) / total)
    error = float(np.sqrt(np.sum((weights * (2.0 * right - value * below)) ** 2)) / total)
    return Number(value, error)


def purity_in_bins(sample: Sample, method: str, number: int) -> Efficiencies:
    """Return the fraction of right events among events with a solution, in the given bins of the sample."""
    own, bins = flags(sample, method), sample.bins[number]
    chosen = sample.known & own.answered & (bins.numbers >= 0)
    return binned_efficiency(own.both[chosen], sample.weights[chosen], bins.numbers[chosen], len(bins))
