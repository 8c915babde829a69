"""Checks of a benchmark: metrics, checksums and keys fit, the scorer accepts the truth, and no public file reveals it."""

from collidekit.benchmark.check_leaks import check_features, check_shared_rows, check_training
from collidekit.benchmark.check_truth import check_truth
from collidekit.benchmark.checksums import verify
from collidekit.benchmark.definition import FILE, Benchmark
from collidekit.benchmark.places import data_names
from collidekit.benchmark.rows import sample_keys
from collidekit.benchmark.scoring.from_definition import plan_of
from collidekit.errors import CollidekitError


def check_metrics(benchmark: Benchmark) -> None:
    """Raise CollidekitError where a metric does not exist, has a wrong setting, or does not fit the output of the benchmark."""
    for phase in benchmark.phases:
        try:
            plan_of(benchmark, phase)
        except CollidekitError as error:
            raise CollidekitError(f"{benchmark.folder / FILE}: {error}") from None


def check_benchmark(benchmark: Benchmark) -> None:
    """Raise CollidekitError for the first fault of a benchmark: metrics, checksums, keys, truth that the scorer refuses, leaks."""
    check_metrics(benchmark)
    verify(benchmark)
    for name, phase in benchmark.phases.items():
        for sample in phase.samples.values():
            data_names(benchmark, sample)
            sample_keys(benchmark, sample)
        truths = check_truth(benchmark, name)
        for sample_name, sample in phase.samples.items():
            check_features(benchmark, sample, truths[sample_name])
        check_training(benchmark, {f"{name}/{sample_name}": truth for sample_name, truth in truths.items()})
    check_shared_rows(benchmark)
