"""A benchmark in words."""

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.duration import duration
from collidekit.benchmark.scoring.labels import metric_label


def ranked_by(benchmark: Benchmark) -> str:
    """Return how a benchmark ranks."""
    metrics = {metric.name: metric for metric in benchmark.metrics}
    names = benchmark.order or [benchmark.metrics[0].name]
    return ", then ".join(f"{metric_label(metrics[name])} ({metrics[name].direction} is better)" for name in names)


def limits_of(benchmark: Benchmark) -> list[tuple[str, str]]:
    """Return the limits of each step of a run."""
    limits = benchmark.limits
    return [
        ("Time of each step", duration(float(limits.walltime))), ("Memory", _size(limits.memory)), ("CPUs", f"{limits.cpus:g}"),
        ("Processes", str(limits.processes)), ("Output", _size(limits.output)), ("Log", _size(limits.log)), ("Network", "none"),
    ]  # fmt: skip


def _size(megabytes: float) -> str:
    """Return a limit as the definition writes it: 1 GB is 1024 MB."""
    return f"{megabytes:g} MB" if megabytes < 1024 else f"{megabytes / 1024:.3g} GB"
