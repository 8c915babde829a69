"""Rows of a sample of a benchmark: columns as the files have them, truth, and the events that they belong to."""

from collections.abc import Sequence
from os.path import isabs
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from attrs import frozen

from collidekit.analysis.expressions import Expression
from collidekit.analysis.names import ColumnNames
from collidekit.analysis.scope import Plan
from collidekit.analysis.targets import Assignment
from collidekit.benchmark.build_plan import BuildPlan, Source
from collidekit.benchmark.leaks import refuse_truth_columns
from collidekit.benchmark.shift import shifted
from collidekit.dataset.hashing import hash_inputs, uniform
from collidekit.dataset.pieces import CHUNK
from collidekit.dataset.rows import build_rows, columns_of, open_scope
from collidekit.errors import CollidekitError
from collidekit.readers import Reader, expand, open_file

Array = np.ndarray[Any, Any]

LABEL, WEIGHT, EVENT, VALUE = "label ", "weight ", "event ", "value "
"""Columns beside those of targets; the space keeps them apart."""
OF_EVENTS = 0x62656E6368
"""Salt of the fraction of events, so that it does not go along with the split of a training."""


@frozen
class SampleRows:
    """Rows of a sample, in an order that depends on their inputs and the seed alone."""

    features: ak.Array
    labels: Array
    """Class of each row (N,), -1 where there are no classes."""
    truth: dict[str, Array]
    """True positions and numbers (N,), by their names."""
    weights: Array
    events: Array
    """A hash of the event of each row (N,)."""

    def __len__(self) -> int:
        return len(self.labels)


def read_rows(plan: Plan, build: BuildPlan, source: Source, folder: Path, analysis_folder: Path) -> SampleRows:
    """Return the rows of a sample, selected and with known truth."""
    if plan.analysis.rows or plan.analysis.processor:
        raise CollidekitError(
            f"build: analysis {plan.analysis.name!r} has '{'rows' if plan.analysis.rows else 'processor'}', whose rows are no entries of the files; "
            "write them with collidekit export-events first"
        )
    value = Expression(build.value, "build: value") if build.value else None
    parts: list[tuple[ak.Array, dict[str, Array], Array]] = []
    for number, path in enumerate(_files(plan, source.files, folder, analysis_folder)):
        with open_file(path, plan.analysis.source) as reader:
            features = feature_columns(plan, build, reader, value)
            needed = list(
                dict.fromkeys([*columns_of(plan, reader), *features, *_columns_of_value(plan, value, reader)])
            )
            needed += [name for name in source.shift if name not in needed]
            for start in range(0, reader.rows, CHUNK):
                chunk = reader.read(needed, start, min(start + CHUNK, reader.rows))
                parts.append(_part(plan, source, build, chunk, features, value, path, number, start))
    if not sum(len(part[2]) for part in parts):
        raise CollidekitError(f"build: no row of {', '.join(source.files)} is selected and has a known truth")
    order = np.argsort(uniform(np.concatenate([part[2] for part in parts]), build.seed), kind="stable")[: source.rows]
    columns = {name: np.concatenate([part[1][name] for part in parts])[order] for name in parts[0][1]}
    labels, weights, events = (columns.pop(name) for name in (LABEL, WEIGHT, EVENT))
    return SampleRows(ak.concatenate([part[0] for part in parts])[order], labels, columns, weights, events)


def _part(
    plan: Plan, source: Source, build: BuildPlan, chunk: ak.Array, features: Sequence[str], value: Expression | None, path: str, number: int,
    start: int,
) -> tuple[ak.Array, dict[str, Array], Array]:  # fmt: skip
    """Features, columns of truth and keys of the order of the rows of a chunk that are used.

    All but the features are those without shifts, so that shifted samples have the same rows in the same order.
    """
    rows = build_rows(plan, chunk, path, number, start).arrays
    chosen = np.flatnonzero(_in_range(uniform(rows.keys, OF_EVENTS), source.events))
    rows = rows.take(chosen)
    place = rows.source[:, 1] - start
    columns = {LABEL: rows.labels, WEIGHT: rows.weights, EVENT: rows.keys}
    for name, target in plan.analysis.row_targets.items():
        for v, column in enumerate(target.values):
            numbers = rows.truth[name][:, v]
            whole = isinstance(target, Assignment) and np.isfinite(numbers).all()
            columns[column] = numbers.astype(np.int64) if whole else numbers
    if value is not None:
        columns[VALUE] = open_scope(plan, chunk, path, start).numbers(value)[place].astype(np.float64)
    order = hash_inputs(rows.inputs) if len(rows) else np.zeros(0, np.int64)
    given = shifted(chunk[place], plan, source, build.seed, path, rows.source[:, 1])
    return given[list(features)], columns, order


def _in_range(values: Array, limits: tuple[float, float]) -> Array:
    found: Array = (values >= limits[0]) & (values < limits[1])
    return found


def feature_columns(plan: Plan, build: BuildPlan, reader: Reader, value: Expression | None) -> list[str]:
    """Return the columns of a file that participants get; CollidekitError where one of them is truth."""
    available = list(reader.columns)
    names = ColumnNames(available)
    if build.features:
        wanted = build.features
    else:
        used = plan.under("inputs") + ([plan["selection",]] if ("selection",) in plan else [])
        wanted = plan.columns_of_expressions(used, available, reader.path)
    found = []
    for name in wanted:
        column = names.find(name)
        if column is None:
            plan.columns_of_expressions([Expression(name, "build: features")], available, reader.path)
        found.append(str(column))
    refuse_truth_columns(found, plan, available, reader.truth, _columns_of_value(plan, value, reader))
    return found


def _columns_of_value(plan: Plan, value: Expression | None, reader: Reader) -> list[str]:
    return [] if value is None else plan.columns_of_expressions([value], list(reader.columns), reader.path)


def _files(plan: Plan, patterns: Sequence[str], folder: Path, analysis_folder: Path) -> list[str]:
    paths = []
    for pattern in patterns:
        if pattern in ("training", "test"):
            named = getattr(plan.analysis.files, pattern)
            if not named:
                raise CollidekitError(
                    f"build: files: {pattern!r} are the files of the analysis, and {plan.analysis.name!r} names none"
                )
            paths += [name if isabs(name) or "://" in name else str(analysis_folder / name) for name in named]
        else:
            paths.append(
                pattern if isabs(pattern) or "://" in pattern or pattern.startswith("~") else str(folder / pattern)
            )
    return expand(paths)
