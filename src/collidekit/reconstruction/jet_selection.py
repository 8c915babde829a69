"""Selection of the candidates for b jets."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.reconstruction.events import DileptonEvents
from collidekit.reconstruction.four_momenta import Floats, pt

JetRule = Literal["all", "tagged", "two_tagged"]


def check_rule(rule: str, threshold: float | None) -> None:
    """Raise CollidekitError for an unknown rule, and for a threshold that is missing or not used."""
    if rule not in get_args(JetRule):
        raise CollidekitError(
            f"jets: unknown rule {rule!r}{did_you_mean(rule, get_args(JetRule))}; known are {', '.join(get_args(JetRule))}"
        )
    if (rule == "tagged") != (threshold is not None):
        raise CollidekitError(f"jets: the rule {rule!r} {'needs a' if rule == 'tagged' else 'has no'} threshold")


def allowed_jets(events: DileptonEvents, rule: JetRule, threshold: float | None = None) -> NDArray[np.bool_]:
    """Return ``(N, J)``: True for candidates of b jets. A jet without transverse momentum is never a candidate.

    * ``all``: every jet.
    * ``tagged``: jets with a b tag of at least ``threshold``. If fewer than two pass, other jets with the highest
      transverse momentum are added to make two.
    * ``two_tagged``: the two jets with the highest b tags; of equal tags the one with the higher transverse momentum. A b tag of NaN
      counts as the lowest.
    """
    check_rule(rule, threshold)
    momentum = pt(events.jets)
    with np.errstate(invalid="ignore"):
        mask = events.mask & (momentum > 0)
        if rule == "all" or not mask.size:
            return mask
        tag = np.where(np.isnan(events.btag), -np.inf, events.btag)
        if rule == "two_tagged":
            return _highest(tag, momentum, mask, 2)
        tagged = mask & (tag >= threshold)
    filled = _highest(tagged.astype(np.float64), momentum, mask, 2)
    return np.where((tagged.sum(axis=1) < 2)[:, None], filled, tagged)


def _highest(first: Floats, second: Floats, mask: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Return a mask of the first ``count`` jets in descending order of two keys."""
    order = np.lexsort((-second, -first, ~mask), axis=1)
    chosen = np.zeros(mask.shape, dtype=bool)
    np.put_along_axis(chosen, order[:, :count], True, axis=1)
    return chosen & mask


def jet_pairs(allowed: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return all ordered pairs of two different allowed jets ``(N, P, 2)``, and ``(N, P)`` True for pairs that exist.

    P is the maximum number of pairs in an event. Pairs that do not exist hold jet 0 twice.
    """
    count, jets = allowed.shape
    one, other = np.nonzero(~np.eye(jets, dtype=bool))
    exists = allowed[:, one] & allowed[:, other]
    most = int(exists.sum(axis=1).max(initial=0))
    order = np.argsort(~exists, axis=1, kind="stable")[:, :most]
    exists = np.take_along_axis(exists, order, axis=1)
    pairs = np.stack([one[order], other[order]], axis=-1).reshape(count, most, 2)
    return np.where(exists[..., None], pairs, 0), exists


def jets_of_pairs(jets: Floats, pairs: NDArray[np.intp]) -> Floats:
    """Return the momenta ``(N, P, 2, 4)`` of pairs ``(N, P, 2)`` of jets ``(N, J, 4)``."""
    rows = np.arange(len(jets))[:, None, None]
    found: Floats = jets[rows, pairs]
    return found
