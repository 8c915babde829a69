"""Statistics of features without their defaults, merged chunk by chunk: mean, standard deviation, range and percentiles."""

import base64
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Ragged

PERCENTILES = (0.5, 16.0, 20.0, 50.0, 80.0, 84.0, 99.5)
_SAMPLE = 2000
"""Values to keep of one chunk for the percentiles."""
_MOST = 64_000
"""Values to keep of all chunks together."""

Array = np.ndarray[Any, Any]


@dataclass
class FeatureStatistics:
    """Count, mean and sum of squared deviations (merged by Chan's formula) and a weighted sample for percentiles."""

    count: int = 0
    missing: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    sample: Array = field(default_factory=lambda: np.zeros(0))
    weights: Array = field(default_factory=lambda: np.zeros(0))
    """Number of values that each value of the sample represents."""

    @property
    def std(self) -> float:
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0

    @classmethod
    def of(cls, values: Array, feature: Feature) -> "FeatureStatistics":
        """Return the statistics of a column of values (T,)."""
        kept = values
        if feature.default is not None:
            kept = values[values != np.float32(feature.default)]
        if not len(kept):
            return cls(missing=len(values))
        kept = kept.astype(np.float64)
        mean = float(kept.mean())
        sample = kept[:: -(-len(kept) // _SAMPLE)]
        return cls(
            count=len(kept),
            missing=len(values) - len(kept),
            mean=mean,
            squares=float(np.square(kept - mean).sum()),
            low=float(kept.min()),
            high=float(kept.max()),
            sample=sample,
            weights=np.full(len(sample), len(kept) / len(sample)),
        )

    def merge(self, other: "FeatureStatistics") -> "FeatureStatistics":
        """Return the statistics of both parts together."""
        count = self.count + other.count
        if not self.count or not other.count:
            filled = self if self.count else other
            return FeatureStatistics(**{**vars(filled), "missing": self.missing + other.missing})
        sample = np.concatenate([self.sample, other.sample])
        sample, weights = _thin(sample, np.concatenate([self.weights, other.weights]))
        delta = other.mean - self.mean
        return FeatureStatistics(
            count=count,
            missing=self.missing + other.missing,
            mean=self.mean + delta * other.count / count,
            squares=self.squares + other.squares + delta**2 * self.count * other.count / count,
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            sample=sample,
            weights=weights,
        )

    def percentiles(self) -> dict[str, float]:
        """Percentiles estimated from the sample, with an error of about 1/sqrt(sample) in rank."""
        if not len(self.sample):
            return {f"{p:g}": 0.0 for p in PERCENTILES}
        order = np.argsort(self.sample, kind="stable")
        weights = self.weights[order]
        ranks = (np.cumsum(weights) - weights / 2) / weights.sum()
        values = np.interp(np.asarray(PERCENTILES) / 100, ranks, self.sample[order])
        return {f"{p:g}": float(v) for p, v in zip(PERCENTILES, values, strict=True)}

    def summary(self) -> dict[str, Any]:
        """Return everything but the sample, for the manifest."""
        rest = {key: value for key, value in vars(self).items() if key not in ("sample", "weights", "squares")}
        return {**rest, "std": self.std, "percentiles": self.percentiles()}

    def content(self) -> dict[str, Any]:
        """Return the statistics of one chunk for JSON: the sample as float32 in base64; no range if there are no values."""
        sample = base64.b64encode(self.sample.astype(np.float32).tobytes()).decode()
        low, high = (self.low, self.high) if self.count else (0.0, 0.0)
        rest = {key: value for key, value in vars(self).items() if key not in ("sample", "weights", "low", "high")}
        return {**rest, "low": low, "high": high, "sample": sample}

    @classmethod
    def read(cls, content: dict[str, Any]) -> "FeatureStatistics":
        """Return the statistics from ``content``."""
        sample = np.frombuffer(base64.b64decode(content["sample"]), dtype=np.float32).astype(np.float64)
        weights = np.full(len(sample), content["count"] / max(len(sample), 1))
        return cls(**{**content, "sample": sample, "weights": weights})


def _thin(sample: Array, weights: Array) -> tuple[Array, Array]:
    """Return at most _MOST values; a larger sample is replaced by half as many values at equal distances in rank."""
    if len(sample) <= _MOST:
        return sample, weights
    order = np.argsort(sample, kind="stable")
    sums = np.cumsum(weights[order])
    size = _MOST // 2
    position = np.searchsorted(sums, (np.arange(size) + 0.5) * (sums[-1] / size))
    return sample[order[position]], np.full(size, sums[-1] / size)


Statistics = dict[str, dict[str, FeatureStatistics]]


def statistics(batch: Batch, analysis: Analysis) -> Statistics:
    """Return the statistics of every feature of every input in a batch."""
    result: Statistics = {}
    for name, entry in analysis.inputs.items():
        data = batch.inputs[name]
        values = (data.values if isinstance(data, Ragged) else data).numpy()
        result[name] = {f.name: FeatureStatistics.of(values[:, i], f) for i, f in enumerate(entry.features)}
    return result


def merge_statistics(a: Statistics | None, b: Statistics) -> Statistics:
    """Return statistics merged feature by feature."""
    if a is None:
        return b
    return {name: {f: a[name][f].merge(b[name][f]) for f in b[name]} for name in b}
