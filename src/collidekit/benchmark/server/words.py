"""A benchmark in words."""

from collidekit.batch.units import show_memory
from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.duration import duration
from collidekit.benchmark.scoring.labels import metric_labels


def ranked_by(benchmark: Benchmark) -> str:
    """Return how a benchmark ranks."""
    metrics = {metric.name: metric for metric in benchmark.metrics}
    labels = metric_labels(benchmark.metrics)
    names = benchmark.order or [benchmark.metrics[0].name]
    return ", then ".join(f"{labels[name]} ({metrics[name].direction} is better)" for name in names)


def limits_of(benchmark: Benchmark) -> list[tuple[str, str]]:
    """Return the limits of each step of a run."""
    limits = benchmark.limits
    return [
        ("Time of each step", duration(float(limits.walltime))), ("Memory", show_memory(limits.memory)), ("CPUs", f"{limits.cpus:g}"),
        ("Processes", str(limits.processes)), ("Output", show_memory(limits.output)), ("Log", show_memory(limits.log)), ("Network", "none"),
    ]  # fmt: skip
