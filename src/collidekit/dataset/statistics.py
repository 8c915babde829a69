"""Statistics of features, merged chunk by chunk: mean, spread, range and percentiles, without the defaults."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Ragged

PERCENTILES = (0.5, 16.0, 20.0, 50.0, 80.0, 84.0, 99.5)
_SAMPLE = 2000

Array = np.ndarray[Any, Any]


@dataclass
class FeatureStatistics:
    """Count, mean and sum of squared deviations (merged by Chan's formula) and a strided sample for percentiles."""

    count: int = 0
    missing: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    sample: list[float] = field(default_factory=list)

    @property
    def std(self) -> float:
        return float(np.sqrt(self.squares / self.count)) if self.count else 0.0

    @classmethod
    def of(cls, values: Array, feature: Feature) -> "FeatureStatistics":
        """Of a column of values (T,)."""
        kept = values
        if feature.default is not None:
            kept = values[values != np.float32(feature.default)]
        if not len(kept):
            return cls(missing=len(values))
        kept = kept.astype(np.float64)
        mean = float(kept.mean())
        return cls(
            count=len(kept),
            missing=len(values) - len(kept),
            mean=mean,
            squares=float(np.square(kept - mean).sum()),
            low=float(kept.min()),
            high=float(kept.max()),
            sample=kept[:: -(-len(kept) // _SAMPLE)].tolist(),
        )

    def merge(self, other: "FeatureStatistics") -> "FeatureStatistics":
        """Of both parts together."""
        count = self.count + other.count
        if not self.count or not other.count:
            filled = self if self.count else other
            return FeatureStatistics(**{**vars(filled), "missing": self.missing + other.missing})
        delta = other.mean - self.mean
        return FeatureStatistics(
            count=count,
            missing=self.missing + other.missing,
            mean=self.mean + delta * other.count / count,
            squares=self.squares + other.squares + delta**2 * self.count * other.count / count,
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            sample=_thin(self.sample + other.sample),
        )

    def percentiles(self) -> dict[str, float]:
        """Estimated from the sample; the error is about 1/sqrt(sample) in rank."""
        if not self.sample:
            return {f"{p:g}": 0.0 for p in PERCENTILES}
        return {f"{p:g}": float(v) for p, v in zip(PERCENTILES, np.percentile(self.sample, PERCENTILES), strict=True)}

    def summary(self) -> dict[str, Any]:
        """For the manifest: everything but the sample."""
        rest = {key: value for key, value in vars(self).items() if key not in ("sample", "squares")}
        return {**rest, "std": self.std, "percentiles": self.percentiles()}


def _thin(sample: list[float]) -> list[float]:
    """At most 32 times the sample of one chunk; every second value is dropped when it grows beyond."""
    return sample if len(sample) <= 32 * _SAMPLE else sample[::2]


Statistics = dict[str, dict[str, FeatureStatistics]]


def statistics(batch: Batch, analysis: Analysis) -> Statistics:
    """Of every feature of every input in a batch."""
    result: Statistics = {}
    for name, entry in analysis.inputs.items():
        data = batch.inputs[name]
        values = (data.values if isinstance(data, Ragged) else data).numpy()
        result[name] = {f.name: FeatureStatistics.of(values[:, i], f) for i, f in enumerate(entry.features)}
    return result


def merge_statistics(a: Statistics | None, b: Statistics) -> Statistics:
    """Feature by feature."""
    if a is None:
        return b
    return {name: {f: a[name][f].merge(b[name][f]) for f in b[name]} for name in b}
