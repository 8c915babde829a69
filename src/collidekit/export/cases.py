"""Rows to check a bundle with, as plain arrays: real rows, and rows that are difficult for exporters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from attrs import evolve, frozen
from torch import Tensor

from collidekit.analysis.schema import Analysis, Collection
from collidekit.dataset.batch import Batch, Ragged

Array = np.ndarray[Any, Any]
BEYOND = 5
"""Number of constituents above the limit in the longest case."""
EXTREME = 1e4
"""Factor on all values of a row in the case of extreme values."""


@frozen
class Row:
    """One row in raw units: an array (n, C) for each collection, (F,) for each group; ``event`` has its event numbers."""

    label: str
    values: Mapping[str, Array]
    event: Mapping[str, int]

    def changed(self, label: str, **values: Array) -> "Row":
        """Return the row with other values of some inputs."""
        return evolve(self, label=label, values={**self.values, **values})


def rows_of(batch: Batch) -> Iterator[Row]:
    """Yield the rows of a batch."""
    for i in range(len(batch)):
        values = {
            name: _constituents(entry, i) if isinstance(entry, Ragged) else entry[i].numpy()
            for name, entry in batch.inputs.items()
        }
        yield Row("", values, {name: int(numbers[i]) for name, numbers in batch.event.items()})


def _constituents(entry: Ragged, row: int) -> Array:
    found: Array = entry.data[entry.offsets[row] : entry.offsets[row + 1]].numpy()
    return found


def edge_cases(rows: Sequence[Row], analysis: Analysis) -> list[Row]:
    """Return rows that are difficult for exporters: lengths, missing, infinite and extreme values, and duplicates.

    They are made from real rows. Lengths are 0, 1, 2, the limit and ``BEYOND`` above the limit, for all collections at
    once. With several collections, there is also a row for each one in which only this one is empty. NaN is in each
    variable once.
    """
    collections = {name: entry for name, entry in analysis.inputs.items() if isinstance(entry, Collection)}
    full = max(rows, key=lambda row: sum(len(row.values[name]) for name in collections))
    cases = [_of_lengths(rows, full, collections, number) for number in (0, 1, 2)]
    cases += [_of_lengths(rows, full, collections, None, more) for more in (0, BEYOND)]
    if len(collections) > 1:
        cases += [full.changed(f"no {name}", **{name: full.values[name][:0]}) for name in collections]
    for name, entry in analysis.inputs.items():
        for column, variable in enumerate(column_names(entry)):
            cases.append(_with(full, f"NaN in {name}.{variable}", name, column, np.nan))
    for name in analysis.inputs:
        for value in (np.inf, -np.inf):
            cases.append(
                full.changed(f"{value:+} in {name}", **{name: _replace_value(full.values[name], slice(None), value)})
            )
        cases.append(full.changed(f"zeros in {name}", **{name: np.zeros_like(full.values[name])}))
        cases.append(full.changed(f"extreme values in {name}", **{name: full.values[name] * np.float32(EXTREME)}))
    for name in collections:
        twice = np.repeat(full.values[name][:1], 3, axis=0)
        cases.append(full.changed(f"the same {name} three times", **{name: twice}))
    return cases


def column_names(entry: Any) -> list[str]:
    """Return the names of the columns of an input: its features, px, py, pz, energy, and the two coordinates."""
    names = [feature.name for feature in entry.features]
    if isinstance(entry, Collection):
        names += ["px", "py", "pz", "energy"] if entry.momenta else []
        names += ["coordinate_1", "coordinate_2"] if entry.coordinates else []
    return names


def _of_lengths(
    rows: Sequence[Row], full: Row, collections: Mapping[str, Collection], number: int | None, more: int = 0
) -> Row:
    """Return a row with ``number`` constituents in each collection; with None, the limit plus ``more``."""
    values = {}
    for name, entry in collections.items():
        wanted = entry.limit + more if number is None else number
        pool = np.concatenate([row.values[name] for row in rows])
        if not len(pool):
            continue
        pool = np.concatenate([full.values[name], pool]) if len(full.values[name]) else pool
        values[name] = np.resize(pool, (wanted, pool.shape[1]))
    lengths = f"length {number}" if number is not None else "at the limit" if not more else f"{more} beyond the limit"
    return full.changed(lengths, **values)


def _with(row: Row, label: str, name: str, column: int, value: float) -> Row:
    """Return a row with a value in one column of the first constituent, or of the group."""
    return row.changed(label, **{name: _replace_value(row.values[name], column, value)})


def _replace_value(values: Array, column: Any, value: float) -> Array:
    """Return values (n, C) or (F,) with another value in a column of the first constituent or of the group."""
    changed = values.copy()
    if changed.ndim == 1:
        changed[column] = value
    elif len(changed):
        changed[0, column] = value
    return changed


def has_equal_constituents(row: Row) -> bool:
    """Return whether two constituents of a collection have the same values."""
    collections = [values for values in row.values.values() if values.ndim == 2]
    return any(len(np.unique(values, axis=0)) < len(values) for values in collections)


def batch_of(rows: Sequence[Row], analysis: Analysis) -> Batch:
    """Return the rows as a batch like from a dataset: without constituents beyond the limit, and with unknown truth."""
    number = len(rows)
    inputs: dict[str, Any] = {}
    for name, entry in analysis.inputs.items():
        if not isinstance(entry, Collection):
            inputs[name] = _tensor([row.values[name] for row in rows], (0, entry.width))
            continue
        parts = [row.values[name][: entry.limit] for row in rows]
        offsets = torch.tensor([0, *np.cumsum([len(part) for part in parts])], dtype=torch.int64)
        data = np.concatenate([np.zeros((0, entry.width), dtype=np.float32), *parts]).astype(np.float32)
        inputs[name] = Ragged(torch.from_numpy(data), offsets, len(entry.features), bool(entry.momenta))
    events = {name: torch.tensor([row.event[name] for row in rows]) for name in (rows[0].event if rows else ())}
    order = torch.arange(number)
    return Batch(
        inputs=inputs,
        labels=torch.full((number,), -1),
        weights=torch.ones(number),
        spectators={},
        event=events,
        keys=order,
        processes=torch.full((number,), -1),
        source=torch.stack([torch.zeros(number, dtype=torch.int64), order], dim=1),
        index=order,
    )


def _tensor(parts: Sequence[Array], empty: tuple[int, int]) -> Tensor:
    return torch.from_numpy(np.stack(parts).astype(np.float32)) if parts else torch.zeros(empty)


def generic_arrays(rows: Sequence[Row], analysis: Analysis, noise: Mapping[str, Array]) -> dict[str, Array]:
    """Return the tensors of the generic layout for rows, padded to the longest row; ``noise`` is the noise of these rows."""
    found: dict[str, Array] = {}
    for name, entry in analysis.inputs.items():
        parts = [row.values[name] for row in rows]
        if not isinstance(entry, Collection):
            found[name] = np.stack(parts).astype(np.float32) if parts else np.zeros((0, entry.width), np.float32)
            continue
        longest = max((len(part) for part in parts), default=0)
        data = np.zeros((len(rows), longest, entry.width), dtype=np.float32)
        mask = np.zeros((len(rows), longest), dtype=np.float32)
        for i, part in enumerate(parts):
            data[i, : len(part)], mask[i, : len(part)] = part, 1
        found |= {name: data, f"{name}_mask": mask}
    return {**found, **{f"noise_{name}": values.astype(np.float32) for name, values in noise.items()}}
