"""Check of the truth of a benchmark: read it as the scorer does, and score a made-up submission."""

import warnings

import numpy as np

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.failures import UnfitPredictions
from collidekit.benchmark.scoring.from_definition import plan_of
from collidekit.benchmark.scoring.plan import ScoringPlan
from collidekit.benchmark.scoring.sample import Sample as Rows
from collidekit.benchmark.scoring.score import score_plan
from collidekit.benchmark.scoring.truth import Array, Truth
from collidekit.benchmark.scoring.truth_file import read_truth
from collidekit.errors import CollidekitError


def check_truth(benchmark: Benchmark, phase: str) -> dict[str, Truth]:
    """Return the truth of each sample of a phase; CollidekitError, with file and column, where no submission could be scored."""
    plan = plan_of(benchmark, phase, replicates=2)
    samples = benchmark.phases[phase].samples
    paths = {name: str(benchmark.path(sample.truth)) for name, sample in samples.items()}
    found = {
        name: read_truth(benchmark.path(sample.truth), benchmark.key, sample.truth.sha256)
        for name, sample in samples.items()
    }
    for name, truth in found.items():
        _check_columns(benchmark, truth, paths[name])
        if benchmark.task == "classification":
            _check_classes(plan, truth, name, paths[name])
    made_up = {name: _made_up(plan, truth) for name, truth in found.items()}
    try:
        with warnings.catch_warnings():
            # two replicates of a few rows have no spread, and none is wanted here
            warnings.simplefilter("ignore", RuntimeWarning)
            score_plan(plan, made_up, found)
    except UnfitPredictions:
        pass  # the numbers made up here do not suit the benchmark; its truth was taken
    except CollidekitError as error:
        raise CollidekitError(f"{', '.join(paths.values())}: the scorer refuses the truth: {error}") from None
    return found


def true_columns(benchmark: Benchmark) -> list[str]:
    """Return the columns of the truth that the metrics read."""
    if benchmark.task == "assignment":
        return list(benchmark.output.columns)
    named = [str(metric.settings.get("truth") or "") for metric in benchmark.metrics]
    return list(dict.fromkeys([benchmark.truth_column, *filter(None, named)]))


def _check_columns(benchmark: Benchmark, truth: Truth, path: str) -> None:
    columns = true_columns(benchmark)
    if benchmark.task == "intervals" and any(metric.settings.get("truth") for metric in benchmark.metrics):
        columns = [name for name in columns if name in truth.columns]
    for name in columns:
        if name not in truth.columns:
            raise CollidekitError(f"{path}: has no column {name!r}; columns are {', '.join(truth.columns) or 'none'}")
        values = truth.columns[name]
        if benchmark.task == "classification":
            continue
        if values.dtype.kind not in "fiu":
            raise CollidekitError(f"{path}: column {name} holds texts, and numbers are needed")
        if np.isinf(values).any():
            row = truth.keys[int(np.flatnonzero(np.isinf(values))[0])]
            raise CollidekitError(
                f"{path}: column {name} is infinite in row {row}; write NaN where the truth is not known"
            )
        known = np.isfinite(values)
        if not known.any():
            raise CollidekitError(f"{path}: column {name} is NaN in all rows; no submission could be scored")
        if truth.weights[known].sum() <= 0:
            raise CollidekitError(
                f"{path}: the weights of the rows whose {name} is known sum to {truth.weights[known].sum():g}: it must be more than 0"
            )


def _check_classes(plan: ScoringPlan, truth: Truth, name: str, path: str) -> None:
    rows = Rows(name, plan, truth, np.zeros((1, len(truth), len(plan.columns))))
    try:
        labels = rows.labels
    except CollidekitError as error:
        raise CollidekitError(f"{path}: {error}") from None
    counts = np.bincount(labels, minlength=len(rows.classes))
    if np.count_nonzero(counts) < 2:
        only = rows.classes[int(counts.argmax())]
        raise CollidekitError(f"{path}: column {plan.truth_column} has one class only, {only}; at least two are needed")
    sums = np.bincount(labels, truth.weights, minlength=len(rows.classes))
    for k in np.flatnonzero(counts):
        if sums[k] <= 0:
            raise CollidekitError(
                f"{path}: the weights of class {rows.classes[k]} sum to {sums[k]:g} (column weight); it must be more than 0"
            )


def _made_up(plan: ScoringPlan, truth: Truth) -> Array:
    """Return predictions (1, N, C) that suit the task."""
    shape = (1, len(truth), len(plan.columns))
    low = 0.0 if plan.minimum is None else plan.minimum
    high = low + 1.0 if plan.maximum is None else plan.maximum
    if plan.minimum is None and plan.maximum is not None:
        low = high - 1.0
    if plan.task == "assignment":
        return np.full(shape, np.ceil(low)) + np.arange(shape[2])
    found = low + (high - low) * np.random.default_rng(1).uniform(size=shape)
    if plan.task == "intervals":
        return np.broadcast_to(_ends(plan, low, high), shape)
    return found / found.sum(axis=2, keepdims=True) if shape[2] > 1 and low == 0 else found


def _ends(plan: ScoringPlan, low: float, high: float) -> Array:
    """Return a value for each column (C,): the lower ends of the metrics low, the upper ones high, others in between."""
    lower = {metric.settings.get("low") for metric in plan.metrics}
    upper = {metric.settings.get("high") for metric in plan.metrics}
    middle = (low + high) / 2
    ends = [{(True, False): low, (False, True): high}.get((n in lower, n in upper), middle) for n in plan.columns]
    return np.array(ends)
