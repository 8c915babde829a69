"""One score from the samples of a phase: nominal, worst, mean, or the drop from nominal to worst."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from collidekit.benchmark.scoring.ensemble import Combined, spread_of
from collidekit.benchmark.scoring.metrics.registry import find_metric
from collidekit.benchmark.scoring.plan import MetricPlan, ScoringPlan
from collidekit.evaluation.rows import Floats, Ints

Samples = Mapping[str, Combined]


def across_samples(plan: ScoringPlan, metric: MetricPlan, samples: Samples, kept: Ints) -> Combined:
    """Return the number of the leaderboard.

    The worst sample is chosen once, by its value. Differences and means are paired where samples have the same rows and truth,
    because their bootstrap weights are then the same.
    """
    how = metric.settings.get("across", "nominal")
    if name := metric.settings.get("sample"):
        return samples[name]
    if how == "nominal":
        return samples[plan.nominal]
    if how == "worst":
        return samples[worst_sample(metric, samples)]
    if how == "mean":
        return _combined(list(samples.values()), [1 / len(samples)] * len(samples), kept)
    nominal, worst = samples[plan.nominal], samples[worst_sample(metric, samples)]
    signs = [1.0, -1.0] if metric_better(metric) == "higher" else [-1.0, 1.0]
    return _combined([nominal, worst], signs, kept, drop=True)


def metric_better(metric: MetricPlan) -> str:
    """Return which direction of the metric itself is better; for a drop this is not the direction of the score."""
    return find_metric(metric.metric).better


def worst_sample(metric: MetricPlan, samples: Samples) -> str:
    """Return the name of the sample with the worst value; of equal ones the first."""
    sign = 1 if metric_better(metric) == "higher" else -1
    return min(samples, key=lambda name: sign * samples[name].value)


def _combined(parts: list[Combined], factors: list[float], kept: Ints, drop: bool = False) -> Combined:
    def total(values: list[Any]) -> Any:
        return sum(factor * value for factor, value in zip(factors, values, strict=True))

    if drop and parts[0] is parts[1]:
        zero = None if parts[0].replicates is None else np.zeros_like(parts[0].replicates)
        return Combined(0.0, 0.0, None, False, zero, np.zeros_like(parts[0].runs), parts[0].note)
    limit = any(part.limit for part in parts)
    replicates: Floats | None = None
    if not limit and all(part.replicates is not None for part in parts):
        replicates = total([part.replicates for part in parts])
    errors = [part.error for part in parts]
    error: float | None = None
    if replicates is not None:
        error = spread_of(replicates)
    elif not limit and all(value is not None for value in errors):
        error = float(
            np.hypot.reduce([factor * float(value or 0) for factor, value in zip(factors, errors, strict=True)])
        )
    runs = total([part.runs for part in parts])
    return Combined(
        value=float(total([part.value for part in parts])),
        error=error if error is not None and np.isfinite(error) else None,
        spread=float(runs[kept].std()) if len(kept) > 1 else None,
        limit=limit,
        replicates=replicates,
        runs=runs,
        note=next((part.note for part in parts if part.note), ""),
    )
