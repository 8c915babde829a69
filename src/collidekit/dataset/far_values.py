"""Defaults, bounds, sentinels and outliers that a scaling carries far away from all other values, and better defaults."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.features import Feature
from collidekit.dataset.statistics import FeatureStatistics

FAR_DEFAULT, FAR_BOUND = 5.0, 20.0
"""Widths beyond the 0.5 % and 99.5 % quantiles from which a default, and a bound that holds outliers, is named."""
SQUASHED = 0.3
"""Widths that 99 % of the values must take at least; a normal distribution takes 5."""
_FEWEST = 50
_SENTINEL_SHARE = 0.002
_KNOWN = (-999.0, -9999.0, -99999.0, -99.0, -1000.0, -10000.0, 999.0, 9999.0, 99999.0)


@dataclass(frozen=True)
class Sentinel:
    """One number far from all others that many values share: it means "missing"."""

    value: float
    share: float
    border: float
    """Half way between it and the others."""

    def condition(self, name: str) -> str:
        """An expression that holds where ``name`` is measured."""
        return f"{name} {'>' if self.value < self.border else '<'} {self.border:g}"


def find_sentinel(values: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> Sentinel | None:
    """The smallest or largest value, if many are equal to it and it lies farther from the others than these are spread."""
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
    """Of the feature's scaling, in its own unit; 0 where nothing is scaled or nothing varies."""
    if feature.scaling == "none" or not statistics.count:
        return 0.0
    if feature.scaling == "robust":
        percentiles = statistics.percentiles()
        return (percentiles["84"] - percentiles["16"]) / 2
    return statistics.std


def distance(value: float, feature: Feature, statistics: FeatureStatistics) -> float:
    """Widths of the scaling by which a value lies outside of the 0.5 % to 99.5 % quantiles; 0 inside of them."""
    size = width(feature, statistics)
    percentiles = statistics.percentiles()
    low, high = percentiles["0.5"], percentiles["99.5"]
    if size <= 1e-6 * max(abs(low), abs(high)):
        return 0.0
    return max(low - value, value - high, 0.0) / size


def suggested_default(low: float, high: float) -> float:
    """0 where that lies below the bulk and near, else a tenth of the bulk's range below it, rounded away from it."""
    spread = (high - low) or abs(low) or 1.0
    if 0 < low <= spread / 2:
        return 0.0
    return _rounded_down(low - spread / 10, spread)


def _rounded_down(value: float, spread: float) -> float:
    step = 10.0 ** np.floor(np.log10(spread / 10))
    return float(f"{step * np.floor(value / step):.6g}")


def far_values(named: str, feature: Feature, statistics: FeatureStatistics) -> Iterator[str]:
    """A sentence for each default or bound far from the bulk, for a sentinel, and for outliers that squash the bulk."""
    if statistics.count < _FEWEST:
        return
    percentiles = statistics.percentiles()
    better = suggested_default(percentiles["0.5"], percentiles["99.5"])
    if feature.default is not None and (far := distance(feature.default, feature, statistics)) > FAR_DEFAULT:
        share = statistics.missing / (statistics.missing + statistics.count)
        yield (
            f"{named}: its default {feature.default:g} lies {far:,.0f} widths of the scaling outside of the bulk, and stands in "
            f"{share:.1%} of its values; what is near is learned better, such as `default: {better:g}`"
        )
    for bound in filter(isfinite, feature.bounds or ()):
        if (far := distance(bound, feature, statistics)) > FAR_BOUND:
            yield (
                f"{named}: its bound {bound:g} lies {far:,.0f} widths of the scaling outside of the bulk, and so may values; "
                f"99 % of them are between {_quantiles(statistics)}"
            )
    sentinel = find_sentinel(statistics.sample, statistics.weights)
    if sentinel and sentinel.value not in (feature.bounds or ()):
        yield _sentinel_text(named, feature, sentinel, without_sentinel(statistics, sentinel))
    elif outliers := _squashed(named, feature, statistics):
        yield outliers


def _sentinel_text(named: str, feature: Feature, sentinel: Sentinel, better: float) -> str:
    """What a sentinel is taken for, and how to say that it means "missing"."""
    return (
        f"{named} is {sentinel.value:g} in {sentinel.share:.1%} of its values, far from all others; it seems to mean "
        f'"missing". Say so: `expression: {feature.expression} if {sentinel.condition(feature.expression)} else {better:g}`, '
        f"`default: {better:g}`"
    )


def without_sentinel(statistics: FeatureStatistics, sentinel: Sentinel) -> float:
    """A default near what is left when the sentinel is taken out."""
    low, high = np.percentile(statistics.sample[statistics.sample != sentinel.value], [0.5, 99.5])
    return suggested_default(float(low), float(high))


def _squashed(named: str, feature: Feature, statistics: FeatureStatistics) -> str:
    """Of values so far out that the scaling follows them and not the bulk."""
    percentiles = statistics.percentiles()
    low, high = percentiles["0.5"], percentiles["99.5"]
    size = width(feature, statistics)
    if high <= low or size <= 1e-6 * abs(statistics.mean) or (high - low) / size >= SQUASHED:
        return ""
    worst = max((statistics.low, statistics.high), key=abs)
    return (
        f"{named}: outliers up to {worst:g} make the scaling so wide that 99 % of the values lie within "
        f"{(high - low) / size:.2g} widths; hold them with `bounds: [{low:.3g}, {high:.3g}]`"
    )


def _quantiles(statistics: FeatureStatistics) -> str:
    percentiles = statistics.percentiles()
    return f"{percentiles['0.5']:.3g} and {percentiles['99.5']:.3g}"
