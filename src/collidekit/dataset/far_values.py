"""Defaults, bounds, sentinels and outliers that are far from all other values after scaling, and better defaults."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.features import Feature
from collidekit.dataset.statistics import FeatureStatistics

FAR_DEFAULT, FAR_BOUND = 5.0, 20.0
"""Distance, in widths beyond the 0.5 % and 99.5 % quantiles, from which a default, and a bound for outliers, is reported."""
SQUASHED = 0.3
"""Smallest range of 99 % of the values in widths; a normal distribution has 5."""
_FEWEST = 50
_SENTINEL_SHARE = 0.002
_KNOWN = (-999.0, -9999.0, -99999.0, -99.0, -1000.0, -10000.0, 999.0, 9999.0, 99999.0)


@dataclass(frozen=True)
class Sentinel:
    """One number, far from all others, that many values share; it means "missing"."""

    value: float
    share: float
    border: float
    """Value half way between the sentinel and the others."""

    def condition(self, name: str) -> str:
        """Return an expression that is true if ``name`` is measured."""
        return f"{name} {'>' if self.value < self.border else '<'} {self.border:g}"


def find_sentinel(values: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> Sentinel | None:
    """Return the smallest or largest value if many values equal it and it is farther from the others than their spread."""
    weights = np.ones(len(values)) if weights is None else weights
    if len(values) < _FEWEST:
        return None
    for value, side in ((float(values.min()), 1), (float(values.max()), -1)):
        equal = values == value
        share = float(weights[equal].sum() / weights.sum())
        rest = np.unique(values[~equal])
        if equal.sum() < 3 or share < _SENTINEL_SHARE or not len(rest):
            continue
        nearest = float(rest[0] if side > 0 else rest[-1])
        spread = float(np.subtract(*np.percentile(values[~equal], [99.5, 0.5])))
        known = any(abs(value - one) < 1e-3 for one in _KNOWN)
        gap = abs(nearest - value)
        if gap > spread and gap > 0 and (known or (len(rest) >= 10 and gap > 2 * spread)):
            return Sentinel(value, share, float(f"{(nearest + value) / 2:.2g}"))
    return None


def width(feature: Feature, statistics: FeatureStatistics) -> float:
    """Return the width of the feature's scaling in its own unit; 0 if it is not scaled or does not vary."""
    if feature.scaling == "none" or not statistics.count:
        return 0.0
    if feature.scaling == "robust":
        percentiles = statistics.percentiles()
        return (percentiles["84"] - percentiles["16"]) / 2
    return statistics.std


def distance(value: float, feature: Feature, statistics: FeatureStatistics) -> float:
    """Return the distance of a value from the 0.5 % to 99.5 % quantiles in widths of the scaling; 0 between them."""
    size = width(feature, statistics)
    percentiles = statistics.percentiles()
    low, high = percentiles["0.5"], percentiles["99.5"]
    if size <= 1e-6 * max(abs(low), abs(high)):
        return 0.0
    return max(low - value, value - high, 0.0) / size


def suggested_default(low: float, high: float, whole: bool = False) -> float:
    """Return 0 if that is below the bulk and near it, else a tenth of the bulk's range below it, rounded.

    ``whole``: return a whole number for a feature of integers or flags, which is -1 if the bulk begins at 0 or above.
    """
    spread = (high - low) or abs(low) or 1.0
    if 0 < low <= spread / 2:
        return 0.0
    below = _rounded_down(low - spread / 10, spread)
    if not whole:
        return below
    return -1.0 if low >= 0 > below else float(np.floor(below))


def _rounded_down(value: float, spread: float) -> float:
    step = 10.0 ** np.floor(np.log10(spread / 10))
    return float(f"{step * np.floor(value / step):.6g}")


def far_values(named: str, feature: Feature, statistics: FeatureStatistics) -> Iterator[str]:
    """Yield a sentence for each default or bound far from the bulk, for a sentinel, and for outliers that widen the scaling."""
    if statistics.count < _FEWEST:
        return
    percentiles = statistics.percentiles()
    better = suggested_default(percentiles["0.5"], percentiles["99.5"], feature.kind != "continuous")
    if feature.default is not None and (far := distance(feature.default, feature, statistics)) > FAR_DEFAULT:
        share = statistics.missing / (statistics.missing + statistics.count)
        yield (
            f"{named}: its default {feature.default:g} lies {far:,.0f} widths of the scaling outside the bulk, and "
            f"{share:.1%} of its values are the default; a near default is learned better, such as `default: {better:g}`"
        )
    for bound in filter(isfinite, feature.bounds or ()):
        if (far := distance(bound, feature, statistics)) > FAR_BOUND:
            yield (
                f"{named}: its bound {bound:g} lies {far:,.0f} widths of the scaling outside the bulk, and values may do so; "
                f"99 % of them are between {_quantiles(statistics)}"
            )
    sentinel = find_sentinel(statistics.sample, statistics.weights)
    if sentinel and sentinel.value not in (feature.bounds or ()):
        yield _sentinel_text(named, feature, sentinel, without_sentinel(feature, statistics, sentinel))
    elif outliers := _squashed(named, feature, statistics):
        yield outliers


def _sentinel_text(named: str, feature: Feature, sentinel: Sentinel, better: float) -> str:
    """Return the warning about a sentinel, and the YAML that declares it as "missing"."""
    return (
        f"{named} is {sentinel.value:g} in {sentinel.share:.1%} of its values, far from all others; it seems to mean "
        f'"missing". Declare it: `expression: {feature.expression} if {sentinel.condition(feature.expression)} else {better:g}`, '
        f"`default: {better:g}`"
    )


def without_sentinel(feature: Feature, statistics: FeatureStatistics, sentinel: Sentinel) -> float:
    """Return a default near the values that remain without the sentinel."""
    low, high = np.percentile(statistics.sample[statistics.sample != sentinel.value], [0.5, 99.5])
    return suggested_default(float(low), float(high), feature.kind != "continuous")


def _squashed(named: str, feature: Feature, statistics: FeatureStatistics) -> str:
    """Return the warning about outliers that determine the scaling instead of the bulk."""
    percentiles = statistics.percentiles()
    low, high = percentiles["0.5"], percentiles["99.5"]
    size = width(feature, statistics)
    if high <= low or size <= 1e-6 * abs(statistics.mean) or (high - low) / size >= SQUASHED:
        return ""
    worst = max((statistics.low, statistics.high), key=abs)
    return (
        f"{named}: outliers up to {worst:g} make the scaling so wide that 99 % of the values lie within "
        f"{(high - low) / size:.2g} widths; limit them with `bounds: [{low:.3g}, {high:.3g}]`"
    )


def _quantiles(statistics: FeatureStatistics) -> str:
    percentiles = statistics.percentiles()
    return f"{percentiles['0.5']:.3g} and {percentiles['99.5']:.3g}"
