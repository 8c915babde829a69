"""Reading rows for the export of events: rows that are not finite are dropped, units converted, and columns spooled."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from collidekit.analysis.schema import Collection
from collidekit.analysis.scope import Plan
from collidekit.analysis.targets import Assignment
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.export.columns import Column, column_values, cut_off
from collidekit.dataset.export.spool import Spool
from collidekit.dataset.export.units import Conversion
from collidekit.dataset.not_finite import NotFinite
from collidekit.dataset.pieces import CHUNK
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.dataset.split import by_inputs, repeated_keys
from collidekit.dataset.targets import UNKNOWN
from collidekit.errors import CollidekitError
from collidekit.progress import counting
from collidekit.readers import BadFileError, open_file
from collidekit.readers.base import OneTree

Array = np.ndarray[Any, Any]
KEY, SOURCE, NUMBER = "key of the split", "file of the split", "event number of the split"
"""Columns of the temporary file from which the split column is computed."""


@dataclass
class Counts:
    """Numbers of rows that were read, kept and dropped."""

    read: int = 0
    selected: int = 0
    kept: int = 0
    dropped: int = 0
    not_finite: dict[str, int] = field(default_factory=dict)
    """Rows with a value that is not finite, by column."""
    replaced: NotFinite = field(default_factory=NotFinite)
    unknown: dict[str, int] = field(default_factory=dict)
    """Kept rows in which a position of an assignment is not known, by column."""
    cut_off: int = 0
    cutflow: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    repeated: list[list[list[int]]] = field(default_factory=list)
    """Groups of equal rows of each chunk, if the inputs decide the split."""


def spool_rows(
    plan: Plan,
    paths: Sequence[str],
    columns: Sequence[Column],
    conversions: dict[str, Conversion],
    spool: Spool,
    drop_nan: bool,
    max_rows: int | None,
    with_split: bool,
) -> Counts:
    """Read files in order and write the columns of all kept rows into a spool; at most one chunk is in memory."""
    counts, trees = Counts(), OneTree()
    every_key = with_split and by_inputs(plan.analysis)  # the size limit of a group of equal rows depends on all rows
    with counting("Reading", "rows") as done:
        for number, path in enumerate(paths):
            with open_file(path, plan.analysis.source) as reader:
                if reader.rows == 0:
                    raise BadFileError(f"{path}: holds no entries; take it out of the list")
                needed = columns_of(plan, reader)
                trees.add(path, reader.tree)
                for start in range(0, reader.rows, CHUNK):
                    full = max_rows is not None and counts.kept >= max_rows
                    if full and not every_key:
                        return counts
                    stop = min(start + CHUNK, reader.rows)
                    places: dict[str, Array] = {}
                    rows = build_rows(plan, reader.read(needed, start, stop), path, number, start, places=places)
                    if every_key:
                        counts.repeated.append(repeated_keys(rows.batch.keys.numpy()))
                    counts.selected += len(rows.batch)
                    if not full:
                        counts.read += stop - start
                        counts.replaced.add(rows.replaced, rows.lost)
                        _add(counts.cutflow, rows.cutflow)
                        left = None if max_rows is None else max_rows - counts.kept
                        _spool(plan, rows.batch, places, columns, conversions, spool, drop_nan, left, counts)
                    done(stop - start)
    return counts


def _spool(
    plan: Plan,
    batch: Batch,
    places: dict[str, Array],
    columns: Sequence[Column],
    conversions: dict[str, Conversion],
    spool: Spool,
    drop_nan: bool,
    left: int | None,
    counts: Counts,
) -> None:
    """Spool the kept rows of one chunk."""
    keep = np.ones(len(batch), dtype=bool)
    bad = not_finite_rows(plan, batch, columns, places) if drop_nan else {}
    for rows in bad.values():
        keep &= ~rows
    end = len(batch)
    if left is not None and np.count_nonzero(keep) > left:
        end = int(np.flatnonzero(keep)[left])
    counts.dropped += int(np.count_nonzero(~keep[:end]))
    _add(counts.not_finite, {name: int(np.count_nonzero(rows[:end])) for name, rows in bad.items()})
    keep[end:] = False
    found = {}
    for column in columns:
        if column.key == ("split",):
            continue
        values = column_values(column, batch, plan.analysis)
        if column.name in conversions:
            values = _converted(column, conversions[column.name], values, plan, places)
        entry = batch.inputs[column.collection] if column.collection else None
        chosen = np.repeat(keep, entry.counts.numpy()) if isinstance(entry, Ragged) else keep
        found[column.name] = values[chosen]
        if column.key[0] == "truth" and isinstance(plan.analysis.row_targets[column.key[1]], Assignment):
            _add(counts.unknown, {column.name: int(np.count_nonzero(found[column.name] == UNKNOWN))})
    found[KEY], found[SOURCE] = batch.keys.numpy()[keep], batch.source.numpy()[keep].reshape(-1)
    for name in plan.analysis.event[-1:]:
        found[NUMBER] = batch.event[name].numpy()[keep]
    kept = batch if keep.all() else batch.take(torch.from_numpy(np.flatnonzero(keep)))
    counts.cut_off += cut_off(kept, plan.analysis)
    labels = kept.labels.numpy()
    _add(counts.classes, {name: int(np.count_nonzero(labels == k)) for k, name in enumerate(plan.analysis.classes)})
    counts.kept += len(kept)
    if len(kept):
        spool.append(found, len(kept))


def not_finite_rows(plan: Plan, batch: Batch, columns: Sequence[Column], places: dict[str, Array]) -> dict[str, Array]:
    """Return the rows (N,) in which an input or a truth value is NaN or infinite, by the name of the column."""
    found: dict[str, Array] = {}
    for column in columns:
        kind, *where = column.key
        rows = np.zeros(len(batch), dtype=bool)
        if kind == "input":
            entry, at = batch.inputs[where[0]], places.get(_place(column, plan), np.zeros(0, np.int64))
            rows[entry.rows.numpy()[at] if isinstance(entry, Ragged) else at] = True
        elif kind == "member":
            entry = batch.inputs[where[0]]
            assert isinstance(entry, Ragged)
            assert entry.targets is not None
            rows[entry.rows.numpy()[entry.targets.numpy()[:, int(where[1])] == UNKNOWN]] = True
        elif kind == "truth":
            rows = ~np.isfinite(batch.truth[where[0]].numpy()[:, int(where[1])])
        if rows.any():
            found[column.name] = rows
    return found


def _place(column: Column, plan: Plan) -> str:
    """Return the name that ``make_input`` gives the column of an input."""
    _, name, number = column.key
    entry, i = plan.analysis.inputs[name], int(number)
    features = [feature.name for feature in entry.features]
    if isinstance(entry, Collection):
        features += [f"momenta_{k}" for k in range(entry.first_coordinate - entry.first_momentum)]
        features += [f"coordinates_{k}" for k in range(entry.width - entry.first_coordinate)]
    return f"{name}.{features[i]}"


def _converted(column: Column, conversion: Conversion, values: Array, plan: Plan, places: dict[str, Array]) -> Array:
    """Return values in the other unit; values for missing data stay unchanged."""
    leave = np.zeros(len(values), dtype=bool)
    if column.missing is not None:
        leave |= values == np.float32(column.missing)
    if column.key[0] == "input":
        leave[places.get(_place(column, plan), np.zeros(0, np.int64))] = True
    changed = conversion.apply(values, leave)
    with np.errstate(over="ignore"):
        result = changed.astype(np.float32 if column.dtype == "float32" else np.float64)
    if (np.isinf(result) & np.isfinite(values)).any():
        raise CollidekitError(f"{column.name}: a value is too large for single precision in the unit {column.unit}")
    return result


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, number in more.items():
        total[name] = total.get(name, 0) + number
