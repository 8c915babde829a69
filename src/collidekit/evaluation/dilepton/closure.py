"""Closure of the spin correlation: D of a method, corrected with the response of other events, is compared with the injected D.

The same is done for <c_han>. The response is a straight line, D of the method = a + b D of the truth. It is fitted without weights to the injected correlations in
the events with an even number. In the events with an odd number it is inverted: corrected D = (D - a) / b. This is compared with the truth of the same
odd events. The halves are not exchanged: the fluctuations of each half would cancel in the mean of both directions, because
each half is used once for the response and once for the measurement. The comparison would then show nothing. Errors are standard deviations over
Poisson bootstrap replicates of all events; each replicate measures truth, response and correction again. Events move between bins of m(tt),
so all bins are corrected together: see ``closure_in_bins``.
"""

from dataclasses import dataclass

import numpy as np

from collidekit.evaluation.classification.bootstrap import poisson_weights
from collidekit.evaluation.dilepton.closure_in_bins import LEAST_SLOPE, measure_in_bins, model_error
from collidekit.evaluation.dilepton.sample import Sample
from collidekit.evaluation.dilepton.spin import Cosines, correlations, cosines
from collidekit.evaluation.residuals import FEWEST, REPLICATES
from collidekit.evaluation.rows import Bools, Floats

LEAST_DIFFERENCE = 0.05
"""Minimum difference of the injected D, or <c_han>, for the measurement of a slope."""
COSINES = {"D": "c_hel", "c_han": "c_han"}
FACTORS = {"D": -3.0, "c_han": 1.0}
"""Factors from the mean cosine to each observable, c_hel and c_han."""
INCLUSIVE, THRESHOLD = "all", "threshold"


@dataclass(frozen=True)
class Closure:
    """Closure of one observable, region, method and injected correlation; NaN if there is no correction."""

    observable: str
    """``D`` or ``c_han``."""
    region: str
    """``all`` or a bin of m(tt): true m(tt) for the truth, and reconstructed m(tt) for the method; the first bin is ``threshold``."""
    method: str
    correlation: str
    truth: float
    truth_error: float
    raw: float
    raw_error: float
    slope: float
    """Slope b in the even events; all other numbers are from the odd events."""
    slope_error: float
    corrected: float
    corrected_error: float
    difference_error: float
    """Error of corrected minus truth, which are measured in the same events."""
    model_error: float
    """Deviation of the correlations from the response in the even events, as a corrected observable; 0 for two correlations."""

    @property
    def pull(self) -> float:
        """Return (corrected - truth) in units of ``difference_error`` and ``model_error`` in quadrature; 0 if both are equal in all replicates."""
        difference = self.corrected - self.truth
        if np.isfinite(difference) and abs(difference) < 1e-9:
            return 0.0
        error = float(np.hypot(self.difference_error, self.model_error))
        return difference / error if error > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class _Measured:
    """D (or <c_han>) of truth, method and correction (K,) in the odd events for K correlations, and the slope in the even events."""

    truth: Floats
    raw: Floats
    slope: Floats
    corrected: Floats
    model: Floats
    """Deviations (K,) of the correlations from the line in the even events, divided by the slope."""


def measure_closure(sample: Sample) -> list[Closure]:
    """Return the closure of each observable, region, method and correlation; empty without at least two injected correlations."""
    true = cosines(sample, sample.truth)
    if true is None or len(sample.spin_weights) < 2:
        return []
    found = []
    answers = {name: own for name, pair in sample.methods.items() if (own := cosines(sample, pair)) is not None}
    regions = [THRESHOLD, *true.bins[1:]]
    weights = correlations(sample)
    table = np.stack(list(weights.values()), axis=1)
    for observable, factor in FACTORS.items():
        for name, own in answers.items():
            for kind, numbers in _of_method(sample, observable, true, own).items():
                found.append(Closure(observable, INCLUSIVE, name, kind, *numbers))
            binned = measure_in_bins(table, sample.odd, true, own, COSINES[observable], factor, len(regions))
            for region, lines in zip(regions, binned, strict=True):
                found += [
                    Closure(observable, region, name, kind, *map(float, line))
                    for kind, line in zip(weights, lines, strict=True)
                ]
    return sorted(found, key=lambda one: (list(FACTORS).index(one.observable), [INCLUSIVE, *regions].index(one.region)))


def _of_method(sample: Sample, observable: str, true: Cosines, own: Cosines) -> dict[str, list[float]]:
    """Return the numbers of ``Closure`` for all events, in their order, for each correlation."""
    in_truth, in_method = true.chosen(None), own.chosen(None)
    weights = correlations(sample)
    cosine = [getattr(each, COSINES[observable]) for each in (true, own)]
    columns = _columns(np.stack(list(weights.values()), axis=1), cosine[0], in_truth, cosine[1], in_method)
    factor = FACTORS[observable]
    halves = np.stack([~sample.odd, sample.odd]).astype(np.float64)
    central = _measure(_sums(columns, halves), factor)
    counts = poisson_weights(len(columns), REPLICATES, seed=0)
    replicates = [_measure(_sums(columns, halves * drawn), factor) for drawn in counts]

    def error(key: str) -> Floats:
        return np.asarray(np.std([getattr(one, key) for one in replicates], axis=0, ddof=1))

    difference = np.std([one.corrected - one.truth for one in replicates], axis=0, ddof=1)
    enough = all((chosen & (half > 0)).sum() >= FEWEST for chosen in (in_truth, in_method) for half in halves)
    usable = enough and bool(abs(central.slope) > LEAST_SLOPE * error("slope"))
    corrected = [central.corrected, error("corrected"), difference, model_error(central.model)]
    if not usable:
        corrected = [np.full(len(weights), np.nan)] * 4
    slope = [np.full(len(weights), value) for value in (central.slope, error("slope"))]
    numbers = np.stack([central.truth, error("truth"), central.raw, error("raw"), *slope, *corrected], axis=1)
    return {kind: [float(value) for value in row] for kind, row in zip(weights, numbers, strict=True)}


def _columns(weights: Floats, true: Floats, in_truth: Bools, own: Floats, in_method: Bools) -> Floats:
    """Return for each event (N, 4 K) weight and weight times cosine, in the region of the truth and in the region of the method."""
    parts = []
    for cosine, chosen in ((true, in_truth), (own, in_method)):
        kept = np.where(chosen[:, None], weights, 0.0)
        parts += [kept, kept * np.where(chosen, cosine, 0.0)[:, None]]
    return np.concatenate(parts, axis=1)


def _sums(columns: Floats, counts: Floats) -> Floats:
    """Return sums (2, 4, K) over the events in the even and in the odd half, with the counts (2, N) of each event."""
    return (counts @ columns).reshape(2, 4, -1)


def _measure(sums: Floats, factor: float) -> _Measured:
    """Return the observable of truth and method from the sums (2, 4, K), and the correction of the odd events with the line of the even events."""
    with np.errstate(invalid="ignore", divide="ignore"):
        truth, raw = factor * sums[:, 1] / sums[:, 0], factor * sums[:, 3] / sums[:, 2]  # (2, K)
        slope, start = _line(truth[0], raw[0])
        model = (raw[0] - start - slope * truth[0]) / slope
        return _Measured(truth[1], raw[1], slope, (raw[1] - start) / slope, model)


def _line(truth: Floats, raw: Floats) -> tuple[Floats, Floats]:
    """Return slope and intercept of the straight line through K points, by least squares; NaN if all have the same truth."""
    x = truth - truth.mean()
    slope = np.sum(x * raw) / np.sum(x**2) if np.ptp(truth) >= LEAST_DIFFERENCE else np.float64(np.nan)
    return np.asarray(slope), np.asarray(raw.mean() - slope * truth.mean())
