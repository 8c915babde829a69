"""``collidekit init``: a commented analysis file from a look at the user's own files."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import awkward as ak
import numpy as np

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis, Source
from collidekit.analysis.scope import Plan
from collidekit.dataset.rows import build_rows, columns_of, columns_to_read, open_scope
from collidekit.errors import CollidekitError
from collidekit.files import replacing
from collidekit.readers import expand, open_file
from collidekit.starter.columns import Column, sampled
from collidekit.starter.guess import Guess, guess
from collidekit.starter.text import write_text

_FILES, _PLACES, _ROWS = 3, 4, 500
"""So many rows are read in so many places of so many files."""


@dataclass(frozen=True)
class Started:
    """What was written, and what it gives on the rows that were looked at."""

    path: Path
    analysis: Analysis
    guess: Guess
    looked_at: int
    class_counts: dict[str, int]


def start_analysis(patterns: Sequence[str], output: Path, tree: str | None = None, force: bool = False) -> Started:
    """Write an analysis file that loads and, once its classes are right, runs."""
    if output.suffix not in (".yaml", ".yml"):
        raise CollidekitError(f"{output}: an analysis file ends in .yaml")
    if output.exists() and not force:
        raise CollidekitError(f"{output}: is there already; choose another name with -o, or --force to replace it")
    paths = expand(list(patterns))
    source = Source(tree=tree)
    columns, looked_at = _look(paths[:_FILES], source)
    if not columns:
        raise CollidekitError(f"{paths[0]}: holds no columns of numbers")
    found = guess(columns)
    about = f"{output.stem}: {os.path.basename(paths[0])}" + (
        f" and {len(paths) - 1} more files" if len(paths) > 1 else ""
    )
    named = [_from_there(pattern, output) for pattern in patterns]
    keys = {"tree": tree} if tree else {}
    first = write_text(found, keys, named, {}, about)
    bins = _bins(Plan(*parse_analysis(first, str(output))), found, paths[0])
    text = write_text(found, keys, named, bins, about)
    analysis, lines = parse_analysis(text, str(output))
    counts = _dry_run(Plan(analysis, lines), paths[:_FILES])
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Started(output, analysis, found, looked_at, counts)


def _look(paths: list[str], source: Source) -> tuple[dict[str, Column], int]:
    """A sample of every column that an analysis may use, from several places: files are often sorted by class."""
    parts: list[ak.Array] = []
    types: dict[str, str] = {}
    for path in paths:
        with open_file(path, source) as reader:
            types = types or dict(reader.columns)
            usable = [name for name in types if name in reader.columns]
            types = {name: types[name] for name in usable}
            if not reader.rows or not types:
                raise CollidekitError(f"{path}: holds no entries" if types else f"{path}: holds no columns of numbers")
            for start, stop in _places(reader.rows):
                parts.append(reader.read(list(types), start, stop))
    columns = {}
    for name, columntype in types.items():
        column = sampled(name, columntype, ak.concatenate([part[name] for part in parts]))
        if column is not None:
            columns[name] = column
    return columns, sum(len(part) for part in parts)


def _places(rows: int) -> list[tuple[int, int]]:
    if rows <= _PLACES * _ROWS:
        return [(0, rows)]
    starts = np.linspace(0, rows - _ROWS, _PLACES).astype(int)
    return [(int(start), int(start) + _ROWS) for start in starts]


def _from_there(pattern: str, output: Path) -> str:
    """A pattern as the analysis file needs it: relative to its folder, or absolute as given."""
    if "://" in pattern or os.path.isabs(pattern) or pattern.startswith("~"):
        return os.path.expanduser(pattern)
    return os.path.relpath(pattern, output.absolute().parent)


def _bins(plan: Plan, found: Guess, path: str) -> dict[str, list[float]]:
    """Edges that hold about as many rows each, rounded; none for what hardly varies."""
    names = [name for name in found.kinematics if name]
    if not names:
        return {}
    with open_file(path, plan.analysis.source) as reader:
        start, stop = _places(reader.rows)[0]
        chunk = reader.read(columns_to_read(plan, list(reader.columns)), start, stop)
    scope = open_scope(plan, chunk, path, start)
    bins = {}
    for name in names:
        values = np.asarray(scope[name], dtype=np.float64)
        values = values[np.isfinite(values)]
        if len(values) >= 50:
            edges = _rounded(np.percentile(values, [0.5, 20, 40, 60, 80, 99.5]))
            if all(b > a for a, b in pairwise(edges)):
                bins[name] = edges
    return bins


def _rounded(edges: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    """To a hundredth of their range, in the decimal system."""
    step = 10.0 ** np.floor(np.log10(max(float(edges[-1] - edges[0]) / 30, 1e-9)))
    return [float(f"{step * np.round(edge / step):.6g}") for edge in edges]


def _dry_run(plan: Plan, paths: list[str]) -> dict[str, int]:
    """Rows of each class among those that were looked at; what cannot be built is an error before anything is written."""
    counts = dict.fromkeys(plan.analysis.classes, 0)
    for number, path in enumerate(paths):
        with open_file(path, plan.analysis.source) as reader:
            columns = columns_of(plan, reader)
            for start, stop in _places(reader.rows):
                labels = build_rows(
                    plan, reader.read(columns, start, stop), path, number, start, keep_all=True
                ).batch.labels
                for k, name in enumerate(counts):
                    counts[name] += int((labels == k).sum())
    return counts
