"""Leaks of files that an organiser made: truth among the features, and rows that two phases share."""

import hashlib
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from collidekit.benchmark.check_truth import true_columns
from collidekit.benchmark.definition import Benchmark, DataFile, Sample
from collidekit.benchmark.leaks import FEWEST, refuse_copies, refuse_revealing
from collidekit.benchmark.scoring.truth import WEIGHT, Array, Truth
from collidekit.dataset.hashing import mix
from collidekit.errors import CollidekitError

IN_RANDOM_ORDER = "put the rows in a random order in features and truth, and number them anew"
"""The remedy for a key, or an order of the rows, that shows the truth."""


def check_features(benchmark: Benchmark, sample: Sample, truth: Truth) -> None:
    """Raise CollidekitError where a public file of a sample shows its truth."""
    for file in (sample.features, *sample.public):
        path = benchmark.path(file)
        table = _table(path)
        if table is None or benchmark.key not in table.column_names:
            continue
        for name in (*true_columns(benchmark), WEIGHT):
            if name in table.column_names:
                raise CollidekitError(
                    f"{path}: has the column {name!r}, which is that of the truth; take it out of what participants get"
                )
        _check_table(benchmark, path, table, truth)


def check_training(benchmark: Benchmark, truths: dict[str, Truth]) -> None:
    """Raise CollidekitError where a training file has the keys and the truth of a test sample."""
    columns = true_columns(benchmark)
    for file in benchmark.training:
        table = _table(benchmark.path(file))
        if table is None or not {benchmark.key, *columns} <= set(table.column_names):
            continue
        for name, truth in truths.items():
            order = _order_of(table, benchmark.key, truth)
            if order is None or len(truth) < FEWEST:
                continue
            if all(
                _equal(table[column].to_numpy(), truth.columns[column][order])
                for column in columns
                if column in truth.columns
            ):
                raise CollidekitError(
                    f"{benchmark.path(file)}: has the truth of the test sample {name}; participants would get it"
                )


def _check_table(benchmark: Benchmark, path: Path, table: pa.Table, truth: Truth) -> None:
    order = _order_of(table, benchmark.key, truth)
    if order is None:
        return
    names = [name for name in table.column_names if name != benchmark.key]
    columns = {name: ak.from_arrow(table[name]) for name in names}
    for name in names:
        values = ak.drop_none(columns[name]) if columns[name].ndim == 1 and not columns[name].fields else None
        if values is None or len(values) != len(truth):
            continue
        given = np.asarray(ak.to_numpy(values))
        for column in true_columns(benchmark):
            true = truth.columns.get(column)
            if true is not None and (_equal(given, true[order]) or _opposite(given, true[order])):
                raise CollidekitError(f"{path}: column {name!r} is the truth ({column}); take it out of the features")
    numbered = {
        f"the key {benchmark.key}": ak.Array(table[benchmark.key].to_numpy()),
        "the order of the rows": ak.Array(np.arange(len(table))),
    }
    if benchmark.task == "classification":
        labels = _labels(benchmark, truth)[order]
        refuse_revealing(columns, labels, benchmark.classes, str(path))
        refuse_revealing(numbered, labels, benchmark.classes, str(path), IN_RANDOM_ORDER)
    elif benchmark.task == "intervals":
        for column in true_columns(benchmark):
            if column in truth.columns:
                values = truth.columns[column][order].astype(np.float64)
                refuse_copies(columns, values, str(path))
                refuse_copies(numbered, values, str(path), IN_RANDOM_ORDER)


def check_shared_rows(benchmark: Benchmark) -> None:
    """Raise CollidekitError where two phases, or the training and a phase, have rows with the same features."""
    files: list[tuple[str, DataFile]] = [("training", file) for file in benchmark.training]
    for phase, entry in benchmark.phases.items():
        files += [(f"phase {phase}", sample.features) for sample in entry.samples.values()]
    tables = [(part, benchmark.path(file), _table(benchmark.path(file))) for part, file in files]
    names = [set(table.column_names) for part, _, table in tables if table is not None and part != "training"]
    common = sorted(set.intersection(*names) - {benchmark.key}) if names else []
    found = [
        (part, path, _hashes(table, common))
        for part, path, table in tables
        if common and table is not None and set(common) <= set(table.column_names)
    ]
    for number, (part, path, hashes) in enumerate(found):
        for other, before, known in found[:number]:
            shared = int(np.isin(hashes, known).sum())
            chance = _repeated(hashes) + _repeated(known)
            if part != other and shared > 3 * chance:
                raise CollidekitError(
                    f"{path}: {shared:,} rows of {part} have the features of rows of {other} ({before}); the rows of a phase must be its own"
                )


def _repeated(hashes: Array) -> int:
    """Return the number of rows with the features of another row of the same file: so coarse features are equal by chance."""
    _, counts = np.unique(hashes, return_counts=True)
    return int(counts[counts > 1].sum())


def _hashes(table: pa.Table, names: list[str]) -> Array:
    """Return a hash (N,) of the features of each row."""
    total = np.zeros(len(table), np.uint64)
    for name in names:
        column = ak.from_arrow(table[name])
        total = mix(total ^ _hash(column))
    return total


def _hash(column: ak.Array) -> Array:
    total = np.zeros(len(column), np.uint64)
    if column.fields:
        for name in column.fields:
            total = mix(total ^ _hash(column[name]))
        return total
    if "string" in str(column.type) or column.ndim > 2:
        return np.array([_text_hash(str(value)) for value in ak.to_list(column)], np.uint64)
    if column.ndim == 1:
        return _words(column)
    counts = ak.to_numpy(ak.num(column, axis=1))
    flat = _words(ak.flatten(column, axis=1))
    place = ak.to_numpy(ak.flatten(ak.local_index(column, axis=1), axis=1)).astype(np.uint64)
    np.add.at(total, np.repeat(np.arange(len(column)), counts), mix(flat ^ mix(place)))
    return mix(total ^ counts.astype(np.uint64))


def _words(column: ak.Array) -> Array:
    masked: Any = np.ma.asarray(ak.to_numpy(column))
    values: Array = masked.astype(np.float64).filled(np.nan)
    return (np.where(np.isnan(values), np.nan, values) + 0.0).view(np.uint64)


def _text_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _labels(benchmark: Benchmark, truth: Truth) -> Array:
    given = truth.column(benchmark.truth_column)
    if given.dtype.kind != "U":
        return given.astype(np.int64)
    return np.array([benchmark.classes.index(name) for name in given.tolist()])


def _order_of(table: pa.Table, key: str, truth: Truth) -> Array | None:
    """Return the place (N,) in the truth of each row of a table with the same keys; None where it has others."""
    keys = table[key].to_numpy()
    if len(keys) != len(truth) or not np.array_equal(np.sort(keys), np.sort(truth.keys)):
        return None
    rank = np.empty(len(keys), np.int64)
    rank[np.argsort(keys, kind="stable")] = np.argsort(truth.keys, kind="stable")
    return rank


def _equal(given: Array, true: Array) -> bool:
    if given.dtype.kind in "USO" or true.dtype.kind in "USO":
        return bool(np.array_equal(given.astype(str), true.astype(str)))
    return bool(np.array_equal(given.astype(np.float64), true.astype(np.float64), equal_nan=True))


def _opposite(given: Array, true: Array) -> bool:
    return given.dtype.kind in "fiu" and true.dtype.kind in "fiu" and _equal(-given.astype(np.float64), true)


def _table(path: Path) -> pa.Table | None:
    """Return the columns of a Parquet file; None for a file of another format, which is not looked into."""
    if path.suffix != ".parquet":
        return None
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise CollidekitError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())[:200]})") from None
