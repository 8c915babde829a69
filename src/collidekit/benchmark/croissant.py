"""Croissant metadata of the data of a benchmark."""

from pathlib import Path

from collidekit.benchmark.definition import Benchmark, DataFile
from collidekit.croissant import DescribedFile, describe, write_croissant

PUBLIC, TRUTH = "croissant.json", "croissant_truth.json"
"""Files in the folder of a benchmark: for everybody, and of the truth, for the organiser."""


def describe_benchmark(benchmark: Benchmark) -> list[Path]:
    """Write the metadata of all data files of a benchmark: features and training files in one file, the truth in another."""
    written = []
    for name, files, what in (
        (PUBLIC, _public(benchmark), "features and training files"),
        (TRUTH, _truth(benchmark), "truth of the test samples"),
    ):
        content = describe(
            benchmark.name if name == PUBLIC else f"{benchmark.name} truth",
            f"{benchmark.title}: {what}. {benchmark.description.strip()}".strip(),
            files,
            license=benchmark.license,
            keywords=["high-energy physics", "benchmark", benchmark.task],
        )
        written.append(write_croissant(benchmark.folder / name, content))
    return written


def _public(benchmark: Benchmark) -> list[DescribedFile]:
    found: dict[str, DescribedFile] = {}
    for phase, entry in benchmark.phases.items():
        for name, sample in entry.samples.items():
            _add(found, benchmark, sample.features, f"Features of the sample {name} of the phase {phase}.")
            for file in sample.public:
                _add(found, benchmark, file, f"Public file of the sample {name} of the phase {phase}.")
    for file in benchmark.training:
        _add(found, benchmark, file, "Training data with truth.")
    return list(found.values())


def _truth(benchmark: Benchmark) -> list[DescribedFile]:
    found: dict[str, DescribedFile] = {}
    for phase, entry in benchmark.phases.items():
        for name, sample in entry.samples.items():
            _add(found, benchmark, sample.truth, f"Truth of the sample {name} of the phase {phase}.")
    return list(found.values())


def _add(found: dict[str, DescribedFile], benchmark: Benchmark, file: DataFile, description: str) -> None:
    columns = {benchmark.key: "Number of the row.", benchmark.truth_column: "Truth.", "weight": "Weight of the row."}
    found.setdefault(file.path, DescribedFile(benchmark.path(file), file.path, description, columns, benchmark.key))
