"""Closure in bins of m(tt): events move between bins, so all bins are corrected together.

In the events with an even number, D of the method in bin i is the mean over the true bins j of the D of the cell (i, j). In each cell D is a straight line
in the D injected in bin j, a_ij + b_ij D_j, which is fitted to the injected correlations. With the fractions f_ij of the events of bin i that are
truly in bin j, D_i = sum_j f_ij (a_ij + b_ij D_j). This is solved for the D_j in the events with an odd number.
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from collidekit.evaluation.classification.bootstrap import poisson_weights
from collidekit.evaluation.dilepton.spin import Cosines
from collidekit.evaluation.residuals import FEWEST, REPLICATES
from collidekit.evaluation.rows import Bools, Floats, Ints

LEAST_SLOPE = 3.0
"""Minimum slope of a response in units of its error: a smaller one cannot be inverted."""


@dataclass(frozen=True, eq=False)
class _Events:
    """Cosine and bin (N,) of truth and method, with flags of known values."""

    true: Floats
    own: Floats
    true_bins: Ints
    own_bins: Ints
    in_truth: Bools
    in_method: Bools


@dataclass(frozen=True, eq=False)
class _Measured:
    """Truth, raw and corrected observable (B, K) in the odd events for B bins and K correlations, and slopes (B,) in the even events."""

    truth: Floats
    raw: Floats
    corrected: Floats
    slope: Floats
    model: Floats
    """Deviations (B, K) of the correlations from the response in the even events, as corrected observables."""


def model_error(deviations: Floats) -> Floats:
    """Return the root mean square (..., K) of deviations (..., K) of K correlations from a line through them, with K - 2 degrees of freedom."""
    number = deviations.shape[-1]
    squares = (deviations**2).sum(axis=-1, keepdims=True) / max(number - 2, 1)
    return np.broadcast_to(np.sqrt(squares if number > 2 else 0 * squares), deviations.shape)


def measure_in_bins(
    weights: Floats, odd: Bools, true: Cosines, own: Cosines, kind: str, factor: float, bins: int
) -> Floats:
    """Return the numbers of ``Closure`` (B, K, 10) from truth to the error of the model, for weights (N, K); NaN without a correction.

    ``kind`` is ``c_hel`` or ``c_han``. The slope is b_ii f_ii, for events that stay in their bin. Bins with too few events are left out.
    """
    cosines = [getattr(one, kind) for one in (true, own)]
    known = [np.isfinite(cosine) & (one.numbers >= 0) for cosine, one in zip(cosines, (true, own), strict=True)]
    enough = np.all(
        [
            np.bincount(one.numbers[there & half], minlength=bins) >= FEWEST
            for one, there in zip((true, own), known, strict=True)
            for half in (odd, ~odd)
        ],
        axis=0,
    )
    known = [there & enough[one.numbers] for there, one in zip(known, (true, own), strict=True)]
    events = _Events(cosines[0], cosines[1], true.numbers, own.numbers, known[0], known[1])
    found = np.full((bins, weights.shape[1], 10), np.nan)
    if not enough.any():
        return found
    central = _measure(events, weights, odd, factor, enough)
    replicates = [
        _measure(events, weights * drawn.reshape(-1, 1), odd, factor, enough)
        for drawn in poisson_weights(len(weights), REPLICATES, seed=0)
    ]

    def error(values: list[Floats]) -> Floats:
        return np.asarray(np.std(values, axis=0, ddof=1))

    slope_error = error([one.slope for one in replicates])
    numbers = [
        central.truth,
        error([one.truth for one in replicates]),
        central.raw,
        error([one.raw for one in replicates]),
    ]
    numbers += [np.broadcast_to(slope[:, None], central.truth.shape) for slope in (central.slope, slope_error)]
    usable = np.abs(central.slope) > LEAST_SLOPE * slope_error
    corrected = [
        central.corrected, error([one.corrected for one in replicates]), error([one.corrected - one.truth for one in replicates]),
        model_error(central.model),
    ]  # fmt: skip
    numbers += [np.where(usable[:, None], values, np.nan) for values in corrected]
    found[enough] = np.stack(numbers, axis=2)[enough]
    return found


def _measure(events: _Events, weights: Floats, odd: Bools, factor: float, enough: Bools) -> _Measured:
    """Fit the response in the even events, and apply its inverse to the odd events."""
    bins = len(enough)

    def mean(chosen: Bools, numbers: Ints, cosine: Floats, size: int) -> tuple[Floats, Floats]:
        """Return the observable and the sums of the weights (size, K), in bins with these numbers."""
        rows = np.flatnonzero(chosen)
        own = weights[rows]
        totals, sums = (
            np.stack([np.bincount(numbers[rows], part[:, k], size) for k in range(own.shape[1])], axis=1)
            for part in (own, own * cosine[rows, None])
        )
        values: Floats = factor * np.divide(sums, totals, out=np.zeros_like(sums), where=totals != 0)
        return values, totals.astype(np.float64)

    cells = events.own_bins * bins + events.true_bins
    both = events.in_truth & events.in_method
    injected, _ = mean(events.in_truth & ~odd, events.true_bins, events.true, bins)
    found, totals = mean(both & ~odd, cells, events.own, bins * bins)
    fractions = totals.mean(axis=1).reshape(bins, bins)
    fractions = np.divide(
        fractions,
        fractions.sum(axis=1, keepdims=True),
        out=np.zeros_like(fractions),
        where=fractions.sum(axis=1, keepdims=True) > 0,
    )
    away = injected - injected.mean(axis=1, keepdims=True)
    squares = (away**2).sum(axis=1)
    cell = found.reshape(bins, bins, -1)
    slopes = np.divide((away[None] * cell).sum(axis=2), squares, out=np.zeros((bins, bins)), where=squares > 0)
    starts = cell.mean(axis=2) - slopes * injected.mean(axis=1)
    response, start = fractions * slopes, (fractions * starts).sum(axis=1)
    truth, _ = mean(events.in_truth & odd, events.true_bins, events.true, bins)
    raw, _ = mean(events.in_method & odd, events.own_bins, events.own, bins)
    learned, _ = mean(events.in_method & ~odd, events.own_bins, events.own, bins)
    away_from_line = learned - start[:, None] - response @ injected
    corrected, model = np.full_like(raw, np.nan), np.full_like(raw, np.nan)
    with suppress(np.linalg.LinAlgError):  # for a method without any information
        inverse = np.linalg.inv(response[np.ix_(enough, enough)])
        corrected[enough], model[enough] = inverse @ (raw - start[:, None])[enough], inverse @ away_from_line[enough]
    return _Measured(truth, raw, corrected, np.diagonal(response).copy(), model)
