"""``collidekit benchmark build``: features and truth of each sample from an analysis and files, and their checksums."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from attrs import evolve, field, frozen

from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.benchmark.build_plan import BuildPlan, Source
from collidekit.benchmark.build_rows import VALUE, SampleRows, read_rows
from collidekit.benchmark.checksums import write_checksums
from collidekit.benchmark.definition import FILE, Benchmark, load_benchmark
from collidekit.benchmark.leaks import refuse_copies, refuse_revealing
from collidekit.errors import CollidekitError
from collidekit.files import replacing
from collidekit.shipped import find_analysis

Array = np.ndarray[Any, Any]


@frozen
class BuiltSample:
    """A sample that was built: its rows, and the rows of each class."""

    name: str
    rows: int
    classes: dict[str, int]
    bytes: int


@frozen
class Built:
    """The samples of a benchmark that were built, and the checksums of all files."""

    samples: list[BuiltSample]
    checksums: dict[str, str] = field(factory=dict)


def build_benchmark(folder: str | Path) -> Built:
    """Make the files of a benchmark as its section ``build`` says, and write their checksums into the benchmark file.

    Without that section, files that are there already get their checksums. Raises CollidekitError where a feature reveals the
    truth, or where phases share events.
    """
    benchmark = load_benchmark(folder)
    samples: list[BuiltSample] = []
    if benchmark.build:
        plan, analysis_folder = _plan(benchmark, benchmark.build)
        found: dict[str, Array] = {}
        for name, rows, write in _samples(benchmark, benchmark.build, plan, analysis_folder):
            phase = name.partition("/")[0]
            _refuse_shared(found, phase, rows.events)
            found[phase] = np.union1d(found.get(phase, rows.events[:0]), rows.events)
            samples.append(BuiltSample(name, len(rows), _counts(benchmark, rows), write()))
    return Built(samples, write_checksums(benchmark))


def _plan(benchmark: Benchmark, build: BuildPlan) -> tuple[Plan, Path]:
    beside = benchmark.folder / build.analysis
    path = beside if beside.is_file() else find_analysis(build.analysis)
    plan = Plan(*read_analysis(path))
    where = benchmark.folder / FILE
    if benchmark.task == "classification" and sorted(plan.analysis.classes) != sorted(benchmark.classes):
        raise CollidekitError(
            f"{where}: classes are {', '.join(benchmark.classes)}, and those of the analysis {', '.join(plan.analysis.classes) or 'none'}"
        )
    if benchmark.task == "assignment":
        slots = [name for target in plan.analysis.assignments.values() for name in target.values]
        if unknown := [name for name in benchmark.output.columns if name not in slots]:
            raise CollidekitError(
                f"{where}: output: {unknown[0]!r} is no slot of the analysis; slots are {', '.join(slots) or 'none'}"
            )
        for source in (build.training, *(entry for phase in build.phases.values() for entry in phase.values())):
            if source is not None and source.keep:
                raise CollidekitError(
                    f"{where}: build: keep: {source.keep!r} takes entries out of lists, and the truth of an assignment is a position in the full "
                    "list; write files with the shorter lists and their positions first"
                )
    if (benchmark.task == "intervals") != bool(build.value):
        raise CollidekitError(f"{where}: build: 'value' is needed for the task intervals, and for no other")
    return plan, path.parent


def _samples(benchmark: Benchmark, build: BuildPlan, plan: Plan, analysis_folder: Path) -> Any:
    """Yield name, rows and the function that writes them, for the training and each sample of each phase."""
    if build.training:
        if len(benchmark.training) != 1:
            raise CollidekitError(f"{benchmark.folder / FILE}: 'build: training' needs one file in 'training'")
        rows = _rows(benchmark, build, plan, build.training, analysis_folder)
        target = benchmark.path(benchmark.training[0])
        yield "training", rows, lambda: write_table(target, {**_features(benchmark, rows), **_truth(benchmark, rows)})
    for name, phase in benchmark.phases.items():
        for sample_name, sample in phase.samples.items():
            rows = _rows(benchmark, build, plan, build.phases[name][sample_name], analysis_folder)
            _refuse_leaks(benchmark, rows)

            def write(rows: SampleRows = rows, sample: Any = sample) -> int:
                write_table(benchmark.path(sample.truth), _truth(benchmark, rows))
                return write_table(benchmark.path(sample.features), _features(benchmark, rows))

            yield f"{name}/{sample_name}", rows, write


def _rows(benchmark: Benchmark, build: BuildPlan, plan: Plan, source: Source, analysis_folder: Path) -> SampleRows:
    """The rows of a sample, whose labels count the classes in the order of the benchmark."""
    rows = read_rows(plan, build, source, benchmark.folder, analysis_folder)
    if benchmark.task != "classification":
        return rows
    place = np.array([benchmark.classes.index(name) for name in plan.analysis.classes])
    return evolve(rows, labels=place[rows.labels])


def _refuse_leaks(benchmark: Benchmark, rows: SampleRows) -> None:
    columns = {name: rows.features[name] for name in rows.features.fields}
    for name in (benchmark.key, benchmark.truth_column, "weight"):
        if name in columns:
            raise CollidekitError(
                f"{benchmark.folder / FILE}: build: features: {name!r} is a column of the benchmark itself; give the key or the truth another name"
            )
    refuse_revealing(columns, rows.labels, benchmark.classes)
    if VALUE in rows.truth:
        refuse_copies(columns, rows.truth[VALUE])


def _refuse_shared(found: dict[str, Array], phase: str, events: Array) -> None:
    for other, keys in found.items():
        if other != phase and (shared := int(np.isin(events, keys).sum())):
            raise CollidekitError(
                f"build: {shared:,} rows of {phase} are of events that are in {other}, too; give them other files, or ranges of 'events' that do "
                "not overlap, such as [0, 0.3] and [0.3, 1]"
            )


def _counts(benchmark: Benchmark, rows: SampleRows) -> dict[str, int]:
    return {name: int((rows.labels == k).sum()) for k, name in enumerate(benchmark.classes)}


def _features(benchmark: Benchmark, rows: SampleRows) -> dict[str, Any]:
    return {benchmark.key: np.arange(len(rows)), **{name: rows.features[name] for name in rows.features.fields}}


def _truth(benchmark: Benchmark, rows: SampleRows) -> dict[str, Any]:
    columns: dict[str, Any] = {benchmark.key: np.arange(len(rows))}
    if benchmark.task == "classification":
        columns[benchmark.truth_column] = rows.labels
    elif benchmark.task == "assignment":
        columns |= {name: rows.truth[name] for name in benchmark.output.columns}
    else:
        columns[benchmark.truth_column] = rows.truth[VALUE]
    if benchmark.build and benchmark.build.weight:
        columns["weight"] = rows.weights
    return columns


def write_table(path: Path, columns: dict[str, Any]) -> int:
    """Write columns as Parquet and return the size of the file in bytes."""
    table = pa.table({name: _arrow(values) for name, values in columns.items()})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    return path.stat().st_size


def _arrow(values: Any) -> Any:
    if isinstance(values, ak.Array):
        return ak.to_arrow(values, list_to32=True, extensionarray=False)
    return pa.array(values)
