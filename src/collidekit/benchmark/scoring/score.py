"""Scores of predictions: every metric of a benchmark with its error, from arrays."""

import math
from collections.abc import Mapping

import numpy as np

from collidekit.benchmark.scoring.across import across_samples
from collidekit.benchmark.scoring.curve import scored_curve
from collidekit.benchmark.scoring.ensemble import Combined, combine, few_runs, kept_runs
from collidekit.benchmark.scoring.failures import ScoringError, UnfitPredictions
from collidekit.benchmark.scoring.metrics.measured import Measured
from collidekit.benchmark.scoring.metrics.registry import find_metric
from collidekit.benchmark.scoring.metrics.roc import Rocs
from collidekit.benchmark.scoring.plan import ScoringPlan
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.benchmark.scoring.sample import Sample
from collidekit.benchmark.scoring.ties import ROUNDING
from collidekit.benchmark.scoring.truth import Array, Truth
from collidekit.evaluation.rows import Ints


def score_plan(plan: ScoringPlan, predictions: Mapping[str, Array], truth: Mapping[str, Truth]) -> Scores:
    """Return the scores of predictions (R, N, C) by sample, whose rows are in the order of the truth.

    Raises UnfitPredictions where the predictions are at fault, and ScoringError where the benchmark is.
    """
    rocs = {name: Rocs(_sample(plan, name, predictions, truth)) for name in plan.samples}
    measured = {
        metric.name: {sample: find_metric(metric.metric).measure(of, metric.settings) for sample, of in rocs.items()}
        for metric in plan.metrics
    }
    kept = _kept(plan, measured)
    combined = {
        metric.name: {sample: combine(of, kept, plan.rule) for sample, of in measured[metric.name].items()}
        for metric in plan.metrics
    }
    totals = {metric.name: across_samples(plan, metric, combined[metric.name], kept) for metric in plan.metrics}
    runs = rocs[plan.nominal].sample.runs
    notes = [
        *(total.note for total in totals.values()),
        few_runs(runs, plan.outliers),
        *(of.note for of in rocs.values()),
    ]
    return Scores(
        metrics={name: _score(name, total) for name, total in totals.items()},
        samples={} if len(plan.samples) == 1 else _by_sample(combined),
        rows=sum(len(truth[name]) for name in plan.samples),
        runs=runs,
        runs_left_out=tuple(index for index in range(runs) if index not in kept),
        replicates={
            name: [float(f"{value:.9g}") for value in total.replicates]
            for name, total in totals.items()
            if total.replicates is not None and np.isfinite(total.replicates).all()
        },
        per_run={name: total.runs.tolist() for name, total in totals.items()} if runs > 1 else {},
        curve=scored_curve(plan, rocs[plan.nominal], kept),
        truth="-".join(sorted({truth[name].fingerprint for name in plan.samples})),
        notes=tuple(dict.fromkeys(note for note in notes if note)),
    )


def check_predictions(plan: ScoringPlan, name: str, predictions: Array, rows: int) -> Array:
    """Return predictions (R, N, C) in double precision; raises UnfitPredictions for another shape, NaN, or values out of range."""
    found = np.asarray(predictions)
    if found.ndim != 3 or found.shape[1:] != (rows, len(plan.columns)) or not 1 <= len(found) <= plan.runs:
        raise UnfitPredictions(
            f"{name}: predictions have the shape {found.shape}; it must be (runs, rows, columns) with at most {plan.runs} "
            f"runs, {rows} rows and {len(plan.columns)} columns"
        )
    if found.dtype.kind not in "fiu":
        raise UnfitPredictions(f"{name}: predictions must be numbers, not of type {found.dtype}")
    found = found.astype(np.float64)
    if not np.isfinite(found).all():
        run, row, column = np.argwhere(~np.isfinite(found))[0]
        raise UnfitPredictions(f"{name}: {plan.columns[column]} is {found[run, row, column]} in row {row} of run {run}")
    low = -np.inf if plan.minimum is None else plan.minimum
    high = np.inf if plan.maximum is None else plan.maximum
    if ((found < low) | (found > high)).any():
        run, row, column = np.argwhere((found < low) | (found > high))[0]
        raise UnfitPredictions(
            f"{name}: {plan.columns[column]} is {found[run, row, column]:.6g} in row {row} of run {run}, not between {low:g} and {high:g}"
        )
    return found


def _sample(plan: ScoringPlan, name: str, predictions: Mapping[str, Array], truth: Mapping[str, Truth]) -> Sample:
    if name not in truth:
        raise ScoringError(f"the truth of the sample {name} is missing")
    if name not in predictions:
        raise UnfitPredictions(f"predictions for the sample {name} are missing")
    checked = check_predictions(plan, name, predictions[name], len(truth[name]))
    counts = {len(predictions[other]) for other in plan.samples if other in predictions}
    if len(counts) > 1:
        raise UnfitPredictions(f"the samples have different numbers of runs: {', '.join(map(str, sorted(counts)))}")
    return Sample(name, plan, truth[name], checked)


def _kept(plan: ScoringPlan, measured: Mapping[str, Mapping[str, Measured]]) -> Ints:
    """The runs that the outlier rule keeps: the leading metric decides, in its sample or the nominal one."""
    leading = next(metric for metric in plan.metrics if metric.name == plan.leading)
    sample = leading.settings.get("sample") or plan.nominal
    return kept_runs(measured[leading.name][sample].value, plan.outliers)


def _score(name: str, found: Combined) -> Score:
    if not math.isfinite(found.value):
        raise ScoringError(f"{name} is {found.value}")
    rounding = found.error is not None and found.error <= ROUNDING * abs(
        found.value
    )  # of replicates that are all equal
    return Score(found.value, 0.0 if rounding else found.error, found.spread, found.limit)


def _by_sample(combined: Mapping[str, Mapping[str, Combined]]) -> dict[str, dict[str, Score]]:
    samples: dict[str, dict[str, Score]] = {}
    for metric, entries in combined.items():
        for sample, found in entries.items():
            samples.setdefault(sample, {})[metric] = _score(f"{metric} of {sample}", found)
    return samples
