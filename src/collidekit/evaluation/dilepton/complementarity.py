"""Which events methods get right together, and which only one of them."""

from dataclasses import dataclass

import numpy as np

from collidekit.evaluation.binomial import Efficiency, efficiency
from collidekit.evaluation.dilepton.accuracy import flags
from collidekit.evaluation.dilepton.sample import Sample


@dataclass(frozen=True)
class Overlap:
    """Two methods on the events in which both true jets are: fractions that add up to 1, and that of their union."""

    first: str
    second: str
    both: Efficiency
    only_first: Efficiency
    only_second: Efficiency
    neither: Efficiency
    union: Efficiency
    """At least one of the two is right: what the best choice between them could reach."""


def measure_overlaps(sample: Sample) -> list[Overlap]:
    """Return each ordered pair of methods, also of a method with itself; none without an event that has both true jets."""
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
    """Return how often at least one of all methods is right, of the events in which both true jets are."""
    chosen = sample.matchable
    if sample.weights[chosen].sum() <= 0:
        return None
    right = np.any([flags(sample, name).both[chosen] for name in sample.positions], axis=0)
    return efficiency(right, sample.weights[chosen])
