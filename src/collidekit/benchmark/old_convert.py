"""``collidekit benchmark build`` on a benchmark of ROB: a folder with the benchmark file of collidekit, and its data."""

from pathlib import Path

import yaml
from attrs import frozen

from collidekit.benchmark.check import check_metrics
from collidekit.benchmark.checksums import write_checksums
from collidekit.benchmark.definition import FILE, load_benchmark
from collidekit.benchmark.old_data import read_old_jets, write_old_jets
from collidekit.benchmark.old_format import read_old_format
from collidekit.errors import CollidekitError
from collidekit.files import write_text


@frozen
class Converted:
    """Result of a conversion: the written file, and notes for the organiser."""

    folder: Path
    jets: int
    """Number of jets; 0 where no pickled jets were named."""
    warnings: list[str]


def convert_old(folder: Path, into: Path, jets: Path | None = None, labels: Path | None = None) -> Converted:
    """Convert a benchmark of ROB into a new folder; pickled jets and labels of the organiser are converted where they are named.

    Raises CollidekitError where the new folder holds a benchmark already.
    """
    if (into / FILE).exists():
        raise CollidekitError(f"{into / FILE}: is there already; name a new folder")
    if labels is not None and jets is None:
        raise CollidekitError(f"{labels}: labels alone make no benchmark; name the pickled jets, too")
    old = read_old_format(folder)
    found = None if jets is None else read_old_jets(jets, labels)
    check_metrics(old.benchmark(into))
    text = yaml.safe_dump(old.content, sort_keys=False, allow_unicode=True, width=140)
    into.mkdir(parents=True, exist_ok=True)
    write_text(into / FILE, f"# Converted from a benchmark of ROB; see docs/benchmark-organise.md.\n{text}")
    benchmark = load_benchmark(into)
    count = 0
    if found is not None:
        count = write_old_jets(benchmark, "public", found)
        write_checksums(benchmark)
    return Converted(into, count, old.warnings)
