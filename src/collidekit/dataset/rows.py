"""From a chunk of a file to rows of a dataset: selection, classes, inputs, weights, spectators, event numbers."""

from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import PurePath
from typing import Any

import awkward as ak
import numpy as np
import torch

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Collection, Group
from collidekit.analysis.scope import Plan, Scope
from collidekit.dataset.batch import Batch, Input, Ragged
from collidekit.dataset.hashing import hash_columns, hash_inputs
from collidekit.errors import CollidekitError

Array = np.ndarray[Any, Any]


@dataclass
class Rows:
    """The rows of one chunk and what was counted on the way."""

    batch: Batch
    cutflow: dict[str, int]
    replaced: dict[str, int] = field(default_factory=dict)
    """NaN and infinite values that became the feature's default, by ``input.feature``."""


def build_rows(plan: Plan, chunk: ak.Array, path: str, file: int, start: int, keep_all: bool = False) -> Rows:
    """Turn the entries ``start, start + 1 ...`` of a file into rows.

    With ``keep_all`` rows of no class stay, with label -1, and so do files that do not hold the truth (for prediction);
    without it they are dropped and counted.
    """
    scope, entries, cutflow = select_rows(plan, chunk, path, start)
    labels = _labels(plan, scope, path, entries, keep_all)
    if not keep_all:
        mask = labels >= 0
        if not mask.all():
            scope, entries, labels = scope.select(mask), entries[mask], labels[mask]
        cutflow["in a class"] = scope.rows
    replaced: dict[str, int] = {}
    weights = _weights(plan, scope, path, entries, keep_all)
    batch = make_batch(plan, scope, labels, weights, path, file, entries, replaced)
    return Rows(batch, cutflow, replaced)


def select_rows(plan: Plan, chunk: ak.Array, path: str, start: int) -> tuple[Scope, Array, dict[str, int]]:
    """The rows that pass the selection, the entry of the file that each one comes from, and the cutflow."""
    scope, entries = open_scope(plan, chunk, path, start)
    cutflow = {"all rows": scope.rows}
    if ("selection",) in plan:
        for term in plan["selection",].terms():
            mask = scope.mask(term)
            if not mask.all():
                scope, entries = scope.select(mask), entries[mask]
            cutflow[term.text] = scope.rows
    return scope, entries, cutflow


def make_batch(
    plan: Plan,
    scope: Scope,
    labels: Array,
    weights: Array,
    path: str,
    file: int,
    entries: Array,
    replaced: dict[str, int],
) -> Batch:
    """The batch of all rows of a scope; values that were not finite are counted in ``replaced``."""
    inputs = {name: make_input(plan, scope, name, path, entries, replaced) for name in plan.analysis.inputs}
    event = {name: _event_column(plan, scope, i) for i, name in enumerate(plan.analysis.event)}
    process, process_weight = _process(plan, path)
    return Batch(
        inputs=inputs,
        labels=torch.from_numpy(labels),
        weights=torch.from_numpy(weights * np.float32(process_weight)),
        spectators=_spectators(plan, scope),
        event={name: torch.from_numpy(values) for name, values in event.items()},
        keys=torch.from_numpy(hash_columns(list(event.values())) if event else hash_inputs(inputs)),
        processes=torch.full((scope.rows,), process, dtype=torch.int64),
        source=torch.from_numpy(np.stack([np.full(scope.rows, file, np.int64), entries], axis=1)),
        index=torch.arange(scope.rows),
    )


def columns_to_read(plan: Plan, available: list[str], with_truth: bool = True, path: str = "") -> list[str]:
    """The columns a file must give; all of them where a user's processor decides."""
    if plan.analysis.processor:
        return available
    columns = plan.columns(available, with_truth, path)
    prefix = f"{plan.analysis.rows}_"
    if plan.analysis.rows and not any(name.startswith(prefix) for name in columns):
        raise CollidekitError(f"{plan.analysis.name}: rows: no branch that begins with {prefix!r} is used")
    return columns


def open_scope(plan: Plan, chunk: ak.Array, path: str, start: int) -> tuple[Scope, Array]:
    """The scope of a chunk and the entry of the file that each row comes from."""
    entries = np.arange(start, start + len(chunk), dtype=np.int64)
    row_index = np.zeros(len(chunk), dtype=np.int64)
    if plan.analysis.processor:
        from collidekit.analysis.processor import run_processor

        chunk = run_processor(plan.analysis.processor, chunk, path)
        if "entry" in chunk.fields:
            entries = start + ak.to_numpy(chunk["entry"]).astype(np.int64)
        else:
            entries = np.arange(start, start + len(chunk), dtype=np.int64)
        row_index = np.zeros(len(chunk), dtype=np.int64)
        plan.columns(chunk.fields)
    columns: dict[str, Any] = {name: chunk[name] for name in chunk.fields}
    if plan.analysis.rows:
        prefix = f"{plan.analysis.rows}_"
        members = next(values for name, values in columns.items() if name.startswith(prefix))
        counts = ak.to_numpy(ak.num(members, axis=1))
        event = np.repeat(np.arange(len(chunk)), counts)
        row_index = ak.to_numpy(ak.flatten(ak.local_index(members, axis=1)))
        columns = {
            name: ak.flatten(values, axis=1) if name.startswith(prefix) and values.ndim > 1 else values[event]
            for name, values in columns.items()
        }
        entries = entries[event]
    return Scope(plan, {**columns, "row_index": row_index}, len(entries)), entries


def _labels(plan: Plan, scope: Scope, path: str, entries: Array, keep_all: bool) -> Array:
    """Class index of each row (N,), -1 where no class holds; two at once is an error."""
    labels = np.full(scope.rows, -1, dtype=np.int64)
    classes = [plan["classes", name] for name in plan.analysis.classes]
    if keep_all and not all(_available(plan, scope, expression.names) for expression in classes):
        return labels
    for name in sorted({name for expression in classes for name in expression.names}):
        values = scope[name]
        if np.ndim(values) == 1 and np.issubdtype(np.asarray(values).dtype, np.floating):
            bad = np.flatnonzero(~np.isfinite(np.asarray(values)))
            if len(bad):
                raise CollidekitError(
                    f"{path}: row {entries[bad[0]]}: {name} is {np.asarray(values)[bad[0]]}, and a class depends on it; "
                    "exclude such rows in the selection"
                )
    names = list(plan.analysis.classes)
    for k, expression in enumerate(classes):
        mask = scope.mask(expression)
        twice = np.flatnonzero(mask & (labels >= 0))
        if len(twice):
            other = names[labels[twice[0]]]
            raise CollidekitError(
                f"{expression.where}: classes {other!r} and {names[k]!r} overlap: row {entries[twice[0]]} of {path} is in both"
            )
        labels[mask] = k
    return labels


def _available(plan: Plan, scope: Scope, names: frozenset[str]) -> bool:
    return all(
        _available(plan, scope, plan.variables[name].names) if name in plan.variables else name in scope
        for name in names
    )


def _weights(plan: Plan, scope: Scope, path: str, entries: Array, keep_all: bool) -> Array:
    if ("weight",) not in plan or (keep_all and not _available(plan, scope, plan["weight",].names)):
        return np.ones(scope.rows, dtype=np.float32)
    weights = scope.numbers(plan["weight",]).astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(weights))
    if len(bad):
        raise CollidekitError(f"{path}: row {entries[bad[0]]}: the weight {plan['weight',].text!r} is {weights[bad[0]]}")
    return weights


def _process(plan: Plan, path: str) -> tuple[int, float]:
    """Number and weight of the process that a file belongs to; -1 and 1 where the analysis names none."""
    for i, process in enumerate(plan.analysis.processes.values()):
        if fnmatch(path, process.files) or fnmatch(PurePath(path).name, process.files):
            return i, process.weight
    if plan.analysis.processes:
        patterns = ", ".join(repr(process.files) for process in plan.analysis.processes.values())
        raise CollidekitError(f"{path}: belongs to no process of the analysis; their files are {patterns}")
    return -1, 1.0


def _spectators(plan: Plan, scope: Scope) -> dict[str, torch.Tensor]:
    """Spectators and kinematic variables, (N,) each."""
    places = [("spectators", i) for i in range(len(plan.analysis.spectators))]
    named: dict[str, Any] = dict(zip(plan.analysis.spectators, places, strict=True))
    for name in plan.analysis.kinematics.bins if plan.analysis.kinematics else ():
        named.setdefault(name, ("kinematics", name))
    return {
        name: torch.from_numpy(scope.numbers(plan[place]).astype(np.float32)) for name, place in named.items()
    }


def _event_column(plan: Plan, scope: Scope, i: int) -> Array:
    values = scope.numbers(plan["event", i])
    if np.issubdtype(values.dtype, np.unsignedinteger):
        return values.astype(np.uint64).view(np.int64)
    return values.astype(np.int64)


def make_input(plan: Plan, scope: Scope, name: str, path: str, entries: Array, replaced: dict[str, int]) -> Input:
    entry = plan.analysis.inputs[name]
    if isinstance(entry, Group):
        columns = [scope.numbers(expression) for expression in plan.under("inputs", name, "features")]
        return torch.from_numpy(_matrix(name, columns, entry.features, scope.rows, replaced))
    return _collection(plan, scope, name, entry, path, entries, replaced)


def _collection(
    plan: Plan, scope: Scope, name: str, entry: Collection, path: str, entries: Array, replaced: dict[str, int]
) -> Ragged:
    places = [("inputs", name, part) for part in ("features", "momenta", "coordinates")]
    used = [expression for place in places for expression in plan.under(*place)]
    values = [expression.evaluate(scope) for expression in used]
    counts: Array | None = None
    for expression, value in zip(used, values, strict=True):
        if isinstance(value, ak.Array) and value.ndim > 1:
            if value.ndim > 2:
                raise CollidekitError(f"{expression.where}: {expression.text!r}: is a list of lists in each row")
            lengths = ak.to_numpy(ak.num(value, axis=1))
            if counts is None:
                counts, first = lengths, expression
            elif not np.array_equal(lengths, counts):
                row = int(np.flatnonzero(lengths != counts)[0])
                raise CollidekitError(
                    f"{path}: row {entries[row]}: lists of different lengths in collection {name!r}: {first.text!r} has "
                    f"{counts[row]}, {expression.text!r} has {lengths[row]}"
                )
    if counts is None:
        raise CollidekitError(
            f"{used[0].where}: collection {name!r} needs lists and {used[0].text!r} is one number a row; without 'limit' "
            "and 'order' the input is a flat group"
        )
    members = kept_members(plan, scope, name, entry, counts)
    columns = [flat_values(value, counts) for value in values]
    if members is not None:
        keep, counts = members
        columns = [column[keep] for column in columns]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    extra = [Feature(name=f"momenta_{i}") for i in range(4 * bool(entry.momenta))]
    extra += [Feature(name=f"coordinates_{i}") for i in range(2 * bool(entry.coordinates))]
    data = _matrix(name, columns, [*entry.features, *extra], int(offsets[-1]), replaced)
    return Ragged(torch.from_numpy(data), torch.from_numpy(offsets), len(entry.features), bool(entry.momenta))


def kept_members(plan: Plan, scope: Scope, name: str, entry: Collection, counts: Array) -> tuple[Array, Array] | None:
    """Which constituents to keep and in what order, and how many in each row; None where nothing changes."""
    keep: Array | None = None
    rows = np.repeat(np.arange(len(counts)), counts)
    if entry.where:
        keep = np.flatnonzero(flat_values(plan["inputs", name, "where"].evaluate(scope), counts).astype(bool))
        rows = rows[keep]
    if entry.order:
        order = flat_values(plan["inputs", name, "order"].evaluate(scope), counts)
        order = order if keep is None else order[keep]
        if not np.all((order[1:] <= order[:-1]) | (rows[1:] != rows[:-1])):
            sequence = np.lexsort((-order, rows))
            keep = sequence if keep is None else keep[sequence]
    if keep is not None:
        counts = np.bincount(rows, minlength=len(counts))
    if counts.max(initial=0) > entry.limit:
        position = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        within = position < entry.limit
        keep = np.flatnonzero(within) if keep is None else keep[within]
        counts = np.minimum(counts, entry.limit)
    return None if keep is None else (keep, counts)


def flat_values(value: Any, counts: Array) -> Array:
    """One number for each constituent; a number a row is repeated."""
    if isinstance(value, ak.Array) and value.ndim > 1:
        return ak.to_numpy(ak.fill_none(ak.flatten(value, axis=1), np.nan), allow_missing=False)
    return np.repeat(np.broadcast_to(np.asarray(value), counts.shape), counts)


def _matrix(name: str, columns: list[Array], features: list[Feature], rows: int, replaced: dict[str, int]) -> Array:
    """Columns side by side in float32 (rows, F): not finite becomes the default, bounds clip."""
    matrix = np.empty((rows, len(features)), dtype=np.float32)
    with np.errstate(over="ignore"):
        for i, (feature, column) in enumerate(zip(features, columns, strict=True)):
            matrix[:, i] = column
            bad = ~np.isfinite(matrix[:, i])
            if count := int(bad.sum()):
                matrix[bad, i] = feature.fill
                replaced[f"{name}.{feature.name}"] = replaced.get(f"{name}.{feature.name}", 0) + count
            if feature.bounds:
                good = slice(None) if feature.default is None else matrix[:, i] != np.float32(feature.default)
                matrix[good, i] = np.clip(matrix[good, i], *feature.bounds)
    return matrix
