"""The command ``collidekit export-events``: from input files to one file of selected events."""

import math
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from collidekit import __version__
from collidekit.analysis.scope import Plan
from collidekit.dataset.exact import join_exact
from collidekit.dataset.export.columns import PARTS, Column, find_columns
from collidekit.dataset.export.read import KEY, NUMBER, SOURCE, Counts, spool_rows
from collidekit.dataset.export.spool import Spool
from collidekit.dataset.export.table import Table
from collidekit.dataset.export.units import Conversion, find_conversions
from collidekit.dataset.export.writers import PADDED, WRITERS
from collidekit.dataset.parts import Folds, RowSplit
from collidekit.dataset.split import break_up_keys, by_inputs, constant_event, large_groups
from collidekit.errors import CollidekitError
from collidekit.files import remove_abandoned, replacing
from collidekit.progress import counting
from collidekit.readers import expand
from collidekit.readers.base import is_url

Array = np.ndarray[Any, Any]
FORMAT = 1
PADDING = -999.0


@dataclass(frozen=True)
class Exported:
    """The result of an export, with notes for the user."""

    path: Path
    columns: list[Column]
    counts: Counts
    notes: list[str] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    """Rows in each part of the split, or in each fold."""


def export_events(
    plan: Plan,
    files: str | Sequence[str],
    output: str | Path,
    *,
    padding: float | None = None,
    drop_nan: bool = False,
    units: str | None = None,
    max_rows: int | None = None,
    split: RowSplit | None = None,
    folds: Folds | None = None,
) -> Exported:
    """Write the selected rows of files as flat columns; the suffix of ``output`` decides the format.

    Inputs are as a network gets them before its scaling: selected, ordered, cut at the limit, in float32. Lists are padded
    with ``padding`` (-999) in NPZ and HDF5, and jagged in ROOT and Parquet. ``split`` adds the column ``split``, and ``folds``
    adds the column ``fold``. A temporary file beside the output has the same size; memory holds one chunk of rows.
    """
    output = Path(output)
    _check(output, padding, max_rows)
    paths = expand(files)
    _check_inputs(output, paths)
    name = "split" if split else "fold" if folds else ""
    columns = find_columns(plan.analysis, name)
    conversions: dict[str, Conversion] = {}
    without_unit: list[str] = []
    if units:
        columns, conversions, without_unit = find_conversions(columns, units, plan.variables)
    remove_abandoned(output)
    with replacing(output) as temporary, closing(Spool(output.parent)) as spool:
        counts = spool_rows(plan, paths, columns, conversions, spool, drop_nan, max_rows, bool(name))
        if not counts.kept:
            steps = "; ".join(f"{step}: {number}" for step, number in counts.cutflow.items())
            dropped = f"; dropped for NaN: {counts.dropped}" if drop_nan else ""
            raise CollidekitError(f"{output}: no row is left to write ({steps}{dropped})")
        limits = {key: entry.limit for key, entry in plan.analysis.collections.items()}
        table: Table = _SplitTable(columns, spool, limits, PADDING if padding is None else padding)
        parts = {}
        if name:
            assert isinstance(table, _SplitTable)
            parts = table.divide(plan, counts, paths, split, folds)
        table.metadata = _metadata(plan, table, counts, paths, output.suffix in PADDED, drop_nan, units)
        with counting("Writing", "files", 1):
            WRITERS[output.suffix](table, temporary)
    return Exported(output, columns, counts, _notes(table, counts, drop_nan, units, without_unit), parts)


class _SplitTable(Table):
    """A table whose split column is computed from the keys of the rows."""

    parts_of_rows: Array

    def divide(
        self, plan: Plan, counts: Counts, paths: list[str], split: RowSplit | None, folds: Folds | None
    ) -> dict[str, int]:
        """Fill the column ``split`` or ``fold`` by the rule of the analysis, and count the rows of each value."""
        keys = np.concatenate([self.spool.read(KEY, piece) for piece in range(len(self.spool.sizes))])
        if plan.analysis.event and len(keys) > 1 and (keys == keys[0]).all():
            raise CollidekitError(constant_event(plan.analysis, paths[0]))
        if by_inputs(plan.analysis):
            large = large_groups(counts.repeated, counts.selected)
            pieces = [self.spool.read(SOURCE, piece).reshape(-1, 2) for piece in range(len(self.spool.sizes))]
            keys = break_up_keys(keys, np.concatenate(pieces), large, paths)
        event = {name: self._event_number(name) for name in plan.analysis.event[-1:]}
        if folds is not None:
            self.parts_of_rows = folds.folds_of(keys, event).astype(np.int32)
            names = [f"fold {i}" for i in range(folds.k)]
        else:
            assert split is not None
            self.parts_of_rows = np.zeros(len(keys), dtype=np.int32)
            for number, part in enumerate(PARTS):
                if part in split.parts:
                    self.parts_of_rows[split.rows(keys, part, event)] = number
            names = list(PARTS)
        found = np.bincount(self.parts_of_rows, minlength=len(names)).tolist()
        return dict(zip(names, found, strict=True))

    def _event_number(self, name: str) -> Array:
        """Return the event number (N,) of all rows."""
        return join_exact([self.spool.read(NUMBER, piece) for piece in range(len(self.spool.sizes))], name)

    def _joined(self, column: Column, pieces: Sequence[int]) -> Array:
        if column.key != ("split",):
            return super()._joined(column, pieces)
        start = sum(self.spool.sizes[: pieces[0]])
        return self.parts_of_rows[start : start + sum(self.spool.sizes[i] for i in pieces)]


def _check(output: Path, padding: float | None, max_rows: int | None) -> None:
    if output.suffix not in WRITERS:
        raise CollidekitError(
            f"{output}: events are written as {', '.join(WRITERS)}, not {output.suffix or 'without a suffix'}"
        )
    if os.path.isdir(output):
        raise CollidekitError(f"{output}: is a folder; name a file to write")
    if padding is not None and output.suffix not in PADDED:
        raise CollidekitError(
            f"--padding: lists in {output.suffix} files have their own length, so nothing is padded; leave it out"
        )
    if padding is not None and not math.isnan(padding) and abs(padding) > float(np.finfo(np.float32).max):
        raise CollidekitError(f"--padding: {padding:g} is not a number in single precision; give another one, or nan")
    if max_rows is not None and max_rows < 1:
        raise CollidekitError(f"--max-rows: {max_rows} is not a number from 1 on")


def _check_inputs(output: Path, paths: Sequence[str]) -> None:
    for path in paths:
        if not is_url(path) and os.path.realpath(path) == os.path.realpath(output):
            raise CollidekitError(f"{output}: is {path}, which is read; give --out another name")


def _metadata(
    plan: Plan, table: Table, counts: Counts, paths: Sequence[str], padded: bool, drop_nan: bool, units: str | None
) -> dict[str, Any]:
    """Return the description of the columns, for JSON."""
    columns: dict[str, dict[str, Any]] = {}
    for column in table.columns:
        about: dict[str, Any] = {"from": " ".join(column.key), "type": str(table.dtype(column))}
        if column.unit:
            about["unit"] = column.unit
        if column.missing is not None:
            about["missing"] = column.missing
        if column.collection:
            about["collection"] = column.collection
            if padded:
                padding = table.padding_of(column)
                about["padding"] = "nan" if math.isnan(padding) else padding
        columns[column.name] = about
    return {
        "collidekit_events": FORMAT,
        "collidekit": __version__,
        "analysis": plan.analysis.name,
        "fingerprint": plan.analysis.fingerprint,
        "definition": plan.analysis.model_dump(mode="json", exclude_defaults=True, exclude={"files", "source"}),
        "files": [os.path.basename(path) for path in paths],
        "classes": list(plan.analysis.classes),
        "processes": list(plan.analysis.processes),
        "collections": {
            name: {"count": table.count_column(name).name, "limit": limit} for name, limit in table.limits.items()
        },
        "columns": columns,
        "units": units or "as in the analysis",
        "split": dict(enumerate(PARTS)) if any(c.name == "split" for c in table.columns) else None,
        "truth": "-1: not in the event or not kept, -2: not known; other truth that is not known is NaN",
        "rows": {
            "read": counts.read, "kept": counts.kept, "dropped_for_nan": counts.dropped if drop_nan else None,
            "not_finite": counts.not_finite, "cutflow": counts.cutflow,
        },
    }  # fmt: skip


def _notes(table: Table, counts: Counts, drop_nan: bool, units: str | None, without_unit: Sequence[str]) -> list[str]:
    notes = []
    if drop_nan:
        what = ", ".join(f"{name} {number:,}" for name, number in counts.not_finite.items())
        notes.append(f"{counts.dropped:,} rows with NaN or infinity were dropped{f' ({what})' if what else ''}")
        notes += counts.replaced.notes()[bool(counts.replaced.values) :]
    else:
        notes += counts.replaced.notes()
    if counts.cut_off:
        notes.append(
            f"{counts.cut_off:,} true constituents are in the event, but 'where' or 'limit' leaves them out: -1 in their column"
        )
    if unknown := {name: number for name, number in counts.unknown.items() if number}:
        what = ", ".join(f"{name} {number:,}" for name, number in unknown.items())
        notes.append(f"unknown positions are -2: {what}")
    if table.equal_to_padding:
        what = ", ".join(f"{name} {number:,}" for name, number in table.equal_to_padding.items())
        notes.append(f"values of existing constituents equal the padding: {what}; use the columns of counts")
    if units and without_unit:
        notes.append(f"columns without a unit stay unchanged: {', '.join(without_unit)}")
    return notes
