"""The scoring plan of a benchmark, with all settings of its metrics checked, and the truth of its samples."""

from collections.abc import Mapping

from collidekit.benchmark.definition import Benchmark, Metric
from collidekit.benchmark.scoring.metrics.registry import MetricKind, find_metric
from collidekit.benchmark.scoring.metrics.settings import check_settings
from collidekit.benchmark.scoring.plan import REPLICATES, MetricPlan, ScoringPlan
from collidekit.benchmark.scoring.result import Scores
from collidekit.benchmark.scoring.score import score_plan
from collidekit.benchmark.scoring.setting_names import check_names
from collidekit.benchmark.scoring.truth import Array, Truth
from collidekit.benchmark.scoring.truth_file import read_truth
from collidekit.errors import CollidekitError, did_you_mean


def score(benchmark: Benchmark, phase: str, predictions: Mapping[str, Array], truth: Mapping[str, Truth]) -> Scores:
    """Return the scores of predictions (runs, rows, columns) by sample, whose rows are in the order of the truth."""
    return score_plan(plan_of(benchmark, phase), predictions, truth)


def plan_of(benchmark: Benchmark, phase: str, replicates: int = REPLICATES) -> ScoringPlan:
    """Return what the scorer must know of a benchmark.

    Raises CollidekitError for a metric or setting that does not exist, a metric of another task, a direction that contradicts
    the metric, and a phase that does not exist.
    """
    if phase not in benchmark.phases:
        known = list(benchmark.phases)
        raise CollidekitError(f"there is no phase {phase!r}{did_you_mean(phase, known)}; there are {', '.join(known)}")
    samples = tuple(benchmark.phases[phase].samples)
    return ScoringPlan(
        task=benchmark.task,
        columns=tuple(benchmark.output.columns),
        metrics=tuple(_metric(benchmark, metric, samples) for metric in benchmark.metrics),
        samples=samples,
        classes=tuple(benchmark.classes),
        signal=benchmark.signal,
        background=benchmark.background,
        key=benchmark.key,
        truth_column=benchmark.truth_column,
        order=tuple(benchmark.order),
        rule=benchmark.ensemble.rule,
        outliers=benchmark.ensemble.outliers,
        runs=benchmark.output.runs,
        minimum=benchmark.output.minimum,
        maximum=benchmark.output.maximum,
        replicates=replicates,
    )


def _metric(benchmark: Benchmark, metric: Metric, samples: tuple[str, ...]) -> MetricPlan:
    kind = find_metric(metric.metric)
    if kind.task != benchmark.task:
        raise CollidekitError(
            f"metric {metric.name}: {metric.metric} is for {kind.task}, and the task is {benchmark.task}"
        )
    settings = check_settings(metric.name, metric.settings, kind.settings)
    across = settings["across"]
    if settings["sample"] and settings["sample"] not in samples:
        raise CollidekitError(
            f"metric {metric.name}: sample {settings['sample']!r} is not one of the phase; those are {', '.join(samples)}"
        )
    better = "lower" if across == "drop" else kind.better
    if across in ("worst", "drop") and not kind.better:
        raise CollidekitError(f"metric {metric.name}: no value of {metric.metric} is the worst; use coverage_deviation")
    if across == "drop" and len(samples) < 2:
        raise CollidekitError(f"metric {metric.name}: a drop is between samples, and a phase has only {samples[0]}")
    if not better and metric.name in (benchmark.order or [benchmark.metrics[0].name]):
        raise CollidekitError(
            f"metric {metric.name}: {metric.metric} cannot rank, because neither higher nor lower is better"
        )
    if better and metric.direction != better:
        raise CollidekitError(f"metric {metric.name}: {better} is better; set `direction: {better}`")
    check_names(benchmark, metric.name, settings)
    _check_columns(benchmark, metric, kind)
    return MetricPlan(metric.name, metric.metric, settings, metric.direction)


def _check_columns(benchmark: Benchmark, metric: Metric, kind: MetricKind) -> None:
    """Check that the output has what the metric reads."""
    if kind.task != "classification":
        return
    columns, classes = benchmark.output.columns, benchmark.classes
    if len(columns) == 1 and len(classes) > 2:
        raise CollidekitError(f"output: columns: {len(classes)} classes need a column each; there is only {columns[0]}")
    if len(columns) > 1 and set(columns) != set(classes):
        raise CollidekitError(
            f"output: columns {', '.join(columns)} must be the classes ({', '.join(classes) or 'none are named'})"
        )
    if kind.needs_probabilities and (benchmark.output.minimum, benchmark.output.maximum) != (0, 1):
        raise CollidekitError(
            f"metric {metric.name}: {metric.metric} needs probabilities; set `minimum: 0` and `maximum: 1` in output"
        )


def read_truths(benchmark: Benchmark, phase: str) -> dict[str, Truth]:
    """Return the truth of each sample of a phase."""
    return {
        name: read_truth(benchmark.path(sample.truth), benchmark.key, sample.truth.sha256)
        for name, sample in benchmark.phases[phase].samples.items()
    }
