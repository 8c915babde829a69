"""Whether a benchmark is complete: its metrics exist and fit, and its files are there with the right checksums and keys."""

from collidekit.benchmark.checksums import verify
from collidekit.benchmark.definition import FILE, Benchmark
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
    """Raise CollidekitError for the first fault of a benchmark: metrics, checksums, keys."""
    check_metrics(benchmark)
    verify(benchmark)
    for phase in benchmark.phases.values():
        for sample in phase.samples.values():
            sample_keys(benchmark, sample)
