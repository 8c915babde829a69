"""Equal scores: what differs by rounding alone is a tie."""

import numpy as np

from collidekit.evaluation.rows import Floats

ROUNDING = 1e-12
"""Neighbours whose relative difference is not larger tie. Sums of probabilities in double precision round by some 1e-16; the last
digit of a number in single precision is 6e-8, so that no change of a probability in single precision is lost."""


def odds_places(above: Floats, below: Floats) -> Floats:
    """Return the places (N,) of the ratio above / below (N,), from the smallest one on; equal ones up to rounding share a place.

    The order is that of above / (above + below), which would lose the digits of a tiny ``below``. Where both vanish, the place
    is the first one, as the score 0 of ``Discriminator.scores``.
    """
    ratio = np.where(above > 0, np.inf, 0.0)
    with np.errstate(over="ignore"):
        np.divide(above, below, out=ratio, where=below > 0)
    order = np.argsort(ratio, kind="stable")
    low, high = ratio[order[:-1]], ratio[order[1:]]
    with np.errstate(invalid="ignore"):
        steps = (high - low > ROUNDING * high) | (np.isinf(high) & np.isfinite(low))
    places = np.empty(len(ratio))
    places[order] = np.append(0, np.cumsum(steps))
    return places
