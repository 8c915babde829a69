"""``collidekit init``: write a commented analysis file for the files of a user."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis, Source
from collidekit.analysis.scope import Plan
from collidekit.dataset.rows import build_rows, columns_of, open_scope, select_rows
from collidekit.errors import CollidekitError
from collidekit.files import replacing
from collidekit.readers import open_file
from collidekit.readers.base import Reader, UnsupportedError
from collidekit.readers.exported import metadata_of, read_metadata
from collidekit.starter.columns import Column, expression_names, sampled, without_numbered
from collidekit.starter.empty_files import FilesWithEntries, without_empty_files
from collidekit.starter.exported import write_exported
from collidekit.starter.few_rows import find_split
from collidekit.starter.guess import guess
from collidekit.starter.guessed import Guess
from collidekit.starter.inside import Nested
from collidekit.starter.known import Layout, find_layout_of
from collidekit.starter.mixed_units import refuse_mixed_units
from collidekit.starter.shipped_start import count_classes, start_from_shipped
from collidekit.starter.source import find_source
from collidekit.starter.text import write_text
from collidekit.starter.top_pair import find_top_pairs
from collidekit.starter.top_pair_text import write_top_pairs
from collidekit.starter.treat import Sampled, treat

FILES, _PLACES, _ROWS = 3, 4, 1000
"""Maximum number of files, of places in each file, and of rows read at each place."""
_SPANET_LABEL = re.compile("(REGRESSIONS|CLASSIFICATIONS)_")
"""Truth of SPANet's files that may hold the class of a row."""

_OBJECTS = re.compile("TClonesArray|Lorentz|TVector")
"""Types of branches with momenta that cannot be read."""


@dataclass(frozen=True)
class Started:
    """The written analysis file, and its results on the sampled rows."""

    path: Path
    analysis: Analysis
    guess: Guess
    looked_at: int
    class_counts: dict[str, int]
    positions: list[str]
    """Columns that the files mark as truth, such as positions of decay products; they are left out."""
    unreadable: list[str]
    """Columns that cannot be read, such as unsplit objects that uproot does not support."""
    notes: list[str] = field(default_factory=list)
    """Messages for the user."""


@dataclass(frozen=True)
class SampledFiles:
    """Rows from several places of several files, because files are often sorted by class."""

    samples: list[Sampled]
    columns: dict[str, Column]
    nested: dict[str, Nested]
    """Lists of lists."""
    rows: int
    """Number of rows in the files."""
    positions: list[str]
    """Columns that the files mark as truth; they are not read."""
    unreadable: list[str]
    """Columns that cannot be read."""
    not_everywhere: list[str]
    """Columns that only some of the files have."""

    @property
    def looked_at(self) -> int:
        """Number of sampled rows."""
        return sum(len(sample.chunk) for sample in self.samples)


def start_analysis(patterns: Sequence[str], output: Path, tree: str | None = None, force: bool = False) -> Started:
    """Write an analysis file that loads, and that runs if its classes are correct. Files without entries are left out."""
    check_output(output, force)
    files = without_empty_files(patterns, lambda path: find_source(path, tree))
    made = _start(files, output, tree)
    return replace(made, notes=[*files.notes, *made.notes])


def _start(files: FilesWithEntries, output: Path, tree: str | None) -> Started:
    paths, source = files.paths, files.source
    about = f"{output.stem}: {os.path.basename(paths[0])}" + (
        f" and {len(paths) - 1} more files" if len(paths) > 1 else ""
    )
    named = [relative_to_output(pattern, output) for pattern in files.patterns]
    keys = source.model_dump(exclude_defaults=True)
    if again := _exported(paths[0], source, keys, named, about, output):
        return again
    seen = sample_files(paths[:FILES], source)
    samples = seen.samples
    all_seen = seen.looked_at == seen.rows and len(paths) <= FILES
    if not seen.columns and not seen.nested:
        raise CollidekitError(f"{paths[0]}: holds no columns of numbers")
    if made := _top_pairs(seen, keys, named, about, output):
        return made
    layout = find_layout_of(seen.columns)
    if layout and layout.analysis and (made := _from_shipped(layout, seen, keys, named, about, output, all_seen)):
        return made
    found = guess(seen.columns, seen.nested)
    if source.tree and not tree:
        found.notes.append(f"the files hold several trees; {source.tree} is used, and --tree selects another one")
    if layout:
        more = f"; there is also a bundled analysis for it: {layout.named}" if layout.named else ""
        found.notes.insert(0, f"layout of {layout.name}{more}")
    found.left_out += seen.positions
    found.rows_in_files = seen.rows * len(paths) // len(paths[:FILES])

    def parse(found: Guess, bins: dict[str, list[float]] | None = None) -> Plan:
        return Plan(*parse_analysis(write_text(found, keys, named, bins or {}, about), str(output)))

    treat(found, samples, parse)
    if found.label and all_seen and (few := find_split(parse(found), samples)):
        found.split, found.test_on_training = few.share, not few.share
        found.doubts.append(few.note)
    bins = _bins(parse(found), found, samples)
    plan = parse(found, bins)
    counts = count_classes(plan, samples)
    with replacing(output) as temporary:
        temporary.write_text(write_text(found, keys, named, bins, about), encoding="utf-8")
    notes = [*found.notes, *found.doubts]
    if seen.not_everywhere:
        more = f" and {len(seen.not_everywhere) - 8} more" if len(seen.not_everywhere) > 8 else ""
        notes.append(f"left out, because only some of the files have them: {', '.join(seen.not_everywhere[:8])}{more}")
    if not found.inputs:
        notes.append("no column looks like an input: write the inputs before you run")
    return Started(output, plan.analysis, found, seen.looked_at, counts, seen.positions, seen.unreadable, notes)


def _from_shipped(
    layout: Layout, seen: SampledFiles, keys: dict[str, Any], files: list[str], about: str, output: Path, all_seen: bool
) -> Started | None:
    """Write the bundled analysis of a layout, adapted to the files; return None if it does not fit."""
    made = start_from_shipped(layout, seen.samples, keys, files, about, all_seen)
    if made is None:
        return None
    with replacing(output) as temporary:
        temporary.write_text(made.text, encoding="utf-8")
    return Started(output, made.plan.analysis, Guess(), seen.looked_at, made.counts, [], seen.unreadable, made.notes)


def _exported(
    path: str, source: Source, keys: dict[str, Any], files: list[str], about: str, output: Path
) -> Started | None:
    """Write the analysis that events were exported with; return None if ``export-events`` did not write the file."""
    with open_file(path, source) as reader:
        content = read_metadata(metadata_of(reader))
        if content is None:
            return None
        text = write_exported(content, files, keys, about)
        plan = Plan(*parse_analysis(text, str(output)))
        rows = min(reader.rows, _ROWS)
        build_rows(plan, reader.read(columns_of(plan, reader), 0, rows), path, 0, 0)
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    note = f"these events were exported with the analysis {content.get('analysis')}, which is read from the metadata of the file"
    return Started(output, plan.analysis, Guess(), rows, {}, [], [], [note])


def _top_pairs(seen: SampledFiles, keys: dict[str, Any], files: list[str], about: str, output: Path) -> Started | None:
    """Write a dileptonic analysis if at least half of the rows are such events; return None for other files."""
    found = None if seen.positions else find_top_pairs(seen.columns)
    if found is None:
        return None
    text = write_top_pairs(found, keys, files, about)
    plan = Plan(*parse_analysis(text, str(output)))
    chunks = [(sample, sample.columns(plan)) for sample in seen.samples]
    kept = sum(select_rows(plan, chunk, sample.path, sample.start)[0].rows for sample, chunk in chunks)
    if 2 * kept < seen.looked_at:
        return None
    for sample, chunk in chunks if found.truth.is_known else ():
        build_rows(plan, chunk, sample.path, sample.number, sample.start)
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    notes = [f"dileptonic top pairs: {kept:,} of the {seen.looked_at:,} sampled events", *found.truth.notes]
    if not found.truth.is_known:
        notes.append("no truth of top pairs was found: write targets or classes before you run")
    elif not found.can_compare:
        notes.append("no comparison with classical methods, because the jets of the b quarks or a b tag are missing")
    return Started(output, plan.analysis, Guess(), seen.looked_at, {}, [], seen.unreadable, notes)


def check_output(output: Path, force: bool) -> None:
    """Raise CollidekitError if the name is not that of a YAML file, or if the file exists and must not be replaced."""
    if output.suffix not in (".yaml", ".yml"):
        raise CollidekitError(f"{output}: the name of an analysis file must end in .yaml")
    if os.path.exists(output) and not force:
        raise CollidekitError(f"{output}: exists already; choose another name with -o, or replace it with --force")


def sample_files(paths: list[str], source: Source) -> SampledFiles:
    """Return sampled rows and columns of files, without columns that cannot be read."""
    samples: list[Sampled] = []
    types: dict[str, str] = {}
    positions: list[str] = []
    unreadable: list[str] = []
    all_failed: set[str] = set()
    not_everywhere: dict[str, None] = {}
    rows = 0
    for number, path in enumerate(paths):
        with open_file(path, source) as reader:
            positions = positions or [
                name for name in reader.columns if name in reader.truth and not _SPANET_LABEL.match(name)
            ]
            types = types or {name: kind for name, kind in reader.columns.items() if name not in positions}
            usable = [name for name in types if name in reader.columns]
            if number:
                different = set(types) ^ set(reader.columns)
                not_everywhere |= dict.fromkeys([*different - set(positions) - all_failed])
            unreadable += [
                f"{n} ({kind})" for n, kind in reader.unreadable.items() if not number and _OBJECTS.search(kind)
            ]
            unreadable += (failed := unreadable_columns(reader, usable))
            all_failed |= set(failed)
            types = {name: types[name] for name in usable if name not in failed}
            if not types:
                raise CollidekitError(f"{path}: holds no columns of numbers")
            rows += reader.rows
            for start, stop in _places(reader.rows):
                samples.append(Sampled(path, number, start, reader.read(list(types), start, stop)))
    columns, nested = {}, {}
    names = expression_names(types)
    refuse_mixed_units(samples, names)
    for name, columntype in types.items():
        array = ak.concatenate([sample.chunk[name] for sample in samples])
        if (column := sampled(names[name], columntype, array)) is not None:
            columns[names[name]] = column
        elif (inside := sampled(names[name], columntype, ak.flatten(array, axis=1))) is not None:
            nested[names[name]] = Nested(ak.to_numpy(ak.num(array, axis=1)), inside)
    return SampledFiles(samples, without_numbered(columns), nested, rows, positions, unreadable, sorted(not_everywhere))


def unreadable_columns(reader: Reader, names: Sequence[str]) -> list[str]:
    """Return the columns that the reader does not support. It reads the first row to find them."""
    stop = min(1, reader.rows)
    try:
        reader.read(list(names), 0, stop)
    except UnsupportedError:
        return [name for name in names if not _is_supported(reader, name, stop)]
    return []


def _is_supported(reader: Reader, name: str, stop: int) -> bool:
    try:
        reader.read([name], 0, stop)
    except UnsupportedError:
        return False
    return True


def _places(rows: int) -> list[tuple[int, int]]:
    if rows <= _PLACES * _ROWS:
        return [(0, rows)]
    starts = np.linspace(0, rows - _ROWS, _PLACES).astype(int)
    return [(int(start), int(start) + _ROWS) for start in starts]


def relative_to_output(pattern: str, output: Path) -> str:
    """Return a pattern relative to the folder of the analysis file; absolute paths and URLs are unchanged."""
    if "://" in pattern or os.path.isabs(pattern) or pattern.startswith("~"):
        return os.path.expanduser(pattern)
    return os.path.relpath(pattern, output.absolute().parent)


def _bins(plan: Plan, found: Guess, samples: Sequence[Sampled]) -> dict[str, list[float]]:
    """Return rounded edges of bins with about equal numbers of rows, for each variable that varies enough."""
    bins = {}
    for name in found.kinematics:
        parts = []
        for sample in samples:
            scope = open_scope(plan, sample.columns(plan), sample.path, sample.start)
            parts.append(np.asarray(scope[name], dtype=np.float64))
        values = np.concatenate(parts)
        values = values[np.isfinite(values)]
        if len(values) >= 50:
            edges = _rounded(np.percentile(values, [0.5, 20, 40, 60, 80, 99.5]))
            if all(b > a for a, b in pairwise(edges)):
                bins[name] = edges
    return bins


def _rounded(edges: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    """Round edges to a power of ten, at most one thirtieth of their range."""
    step = 10.0 ** np.floor(np.log10(max(float(edges[-1] - edges[0]) / 30, 1e-9)))
    return [float(f"{step * np.round(edge / step):.6g}") for edge in edges]
