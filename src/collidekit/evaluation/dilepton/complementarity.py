"""Overlap of methods: events that both, one or none of two methods assign correctly."""

from dataclasses import dataclass

import numpy as np

from collidekit.evaluation.binomial import Efficiency, efficiency
from collidekit.evaluation.dilepton.accuracy import flags
from collidekit.evaluation.dilepton.sample import Sample


@dataclass(frozen=True)
class Overlap:
    """Overlap of two methods in events with both true jets: fractions that sum to 1, and the fraction of the union."""

    first: str
    second: str
    both: Efficiency
    only_first: Efficiency
    only_second: Efficiency
    neither: Efficiency
    union: Efficiency
    """At least one of the two is right: the result of an ideal choice between them."""


def measure_overlaps(sample: Sample) -> list[Overlap]:
    """Return each ordered pair of methods, also of a method with itself; empty if no event has both true jets."""
    chosen = sample.matchable
    weights = sample.weights[chosen]
    if weights.sum() <= 0:
        return []
    right = {name: flags(sample, name).both[chosen] for name in sample.positions}
    found = []
    for first, a in right.items():
        for second, b in right.items():
            parts = (a & b, a & ~b, ~a & b, ~(a | b), a | b)
            found.append(Overlap(first, second, *(efficiency(part, weights) for part in parts)))
    return found


def any_right(sample: Sample) -> Efficiency | None:
    """Return the fraction of events with at least one right method, among events with both true jets."""
    chosen = sample.matchable
    if sample.weights[chosen].sum() <= 0:
        return None
    right = np.any([flags(sample, name).both[chosen] for name in sample.positions], axis=0)
    return efficiency(right, sample.weights[chosen])
