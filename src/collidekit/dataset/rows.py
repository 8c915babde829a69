"""Conversion of a chunk of a file to rows of a dataset: selection, classes, inputs, weights, spectators, event numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from collidekit.analysis.expressions import Expression
from collidekit.analysis.features import Feature
from collidekit.analysis.names import quoted
from collidekit.analysis.schema import Collection, Group
from collidekit.analysis.scope import BUILT_IN, Plan, Scope, flat_values, refuse_numbers
from collidekit.analysis.targets import PLACE
from collidekit.dataset.arrays import RaggedArray, RowArrays
from collidekit.dataset.exact import exact
from collidekit.dataset.hashing import hash_columns, hash_inputs
from collidekit.dataset.not_finite import lost_to_nan
from collidekit.dataset.split import entry_keys
from collidekit.dataset.targets import make_targets, make_truth
from collidekit.dataset.unroll import same_lengths, unroll
from collidekit.errors import CollidekitError
from collidekit.readers.base import Reader

if TYPE_CHECKING:
    from collidekit.dataset.batch import Batch

Array = np.ndarray[Any, Any]


SMALLEST_WEIGHT = 1e-30
"""If all weights are smaller, they lose digits or become 0 in single precision."""


@dataclass
class Rows:
    """The rows of one chunk, and counts made on the way."""

    arrays: RowArrays
    cutflow: dict[str, int]
    replaced: dict[str, int] = field(default_factory=dict)
    """NaN and infinite values that were replaced by the default of the feature, by ``input.feature``."""
    lost: dict[str, int] = field(default_factory=dict)
    """Rows dropped by each condition of the selection while one of its variables was NaN."""

    @cached_property
    def batch(self) -> "Batch":
        """The rows as tensors that share the same memory."""
        from collidekit.dataset.batch import Batch

        return Batch.of(self.arrays)


def build_rows(
    plan: Plan,
    chunk: ak.Array,
    path: str,
    file: int,
    start: int,
    keep_all: bool = False,
    places: dict[str, Array] | None = None,
) -> Rows:
    """Convert the entries ``start, start + 1 ...`` of a file to rows.

    With ``keep_all``, rows of no class stay, with label -1, and files without truth are allowed (for prediction). Otherwise
    such rows are dropped and counted. ``places`` receives the positions of replaced values, see ``make_input``.
    """
    lost: dict[str, int] = {}
    scope, cutflow = select_rows(plan, chunk, path, start, keep_all, lost)
    labels, truth = labels_of(plan, scope, keep_all), make_truth(plan, scope, keep_all)
    if not keep_all:
        mask = with_truth(plan, labels, truth)
        if not mask.all():
            scope, labels, truth = (
                scope.select(mask),
                labels[mask],
                {name: values[mask] for name, values in truth.items()},
            )
        cutflow["in a class" if plan.analysis.classes else "with a known target"] = scope.rows
        _check_process(plan, path)
        _check_kinematics(plan, scope)
    replaced: dict[str, int] = {}
    weights = _weights(plan, scope, keep_all)
    arrays = make_arrays(plan, scope, labels, weights, file, replaced, truth, not keep_all, places)
    return Rows(arrays, cutflow, replaced, lost)


def with_truth(plan: Plan, labels: Array, truth: Mapping[str, Array]) -> Array:
    """Return the rows (N,) for training: rows in a class; without classes, rows with a target whose values are all known."""
    if plan.analysis.classes:
        return labels >= 0
    known: Array = np.any([np.isfinite(values).all(axis=1) for values in truth.values()], axis=0)
    return known


def select_rows(
    plan: Plan, chunk: ak.Array, path: str, start: int, keep_all: bool = False, lost: dict[str, int] | None = None
) -> tuple[Scope, dict[str, int]]:
    """Return the rows that pass the selection, and the cutflow; ``lost`` receives the numbers of rows dropped because of NaN."""
    scope = open_scope(plan, chunk, path, start, keep_all)
    cutflow = {"all rows": scope.rows}
    names = list(plan.analysis.processes)
    places: list[tuple[str, ...]] = [("selection",), *(("processes", name, "selection") for name in names)]
    here = _process(plan, path)[0] if any(place in plan for place in places[1:]) else -1
    for number, place in enumerate(places, -1):
        if place not in plan:
            continue
        for term in plan[place].terms():
            text = term.text if number < 0 else f"{names[number]}: {term.text}"
            if number in (-1, here):  # rows of other processes pass, so that all cutflows have the same lines
                mask = scope.mask(term)
                if not mask.all():
                    if lost is not None and (count := lost_to_nan(scope, term, mask)):
                        lost[text] = count
                    scope = scope.select(mask)
            cutflow[text] = scope.rows
    return scope, cutflow


def make_arrays(
    plan: Plan,
    scope: Scope,
    labels: Array,
    weights: Array,
    file: int,
    replaced: dict[str, int],
    truth: Mapping[str, Array],
    with_targets: bool = False,
    places: dict[str, Array] | None = None,
) -> RowArrays:
    """Return all rows of a scope; values that are not finite are counted in ``replaced``."""
    inputs = {name: make_input(plan, scope, name, replaced, with_targets, places) for name in plan.analysis.inputs}
    event = {name: _event_column(plan, scope, i) for i, name in enumerate(plan.analysis.event)}
    process, process_weight = _process(plan, scope.path)
    return RowArrays(
        inputs=inputs,
        labels=labels,
        weights=weights * np.float32(process_weight),
        spectators=_spectators(plan, scope),
        event=event,
        keys=_keys(plan, scope, event, inputs),
        processes=np.full(scope.rows, process, dtype=np.int64),
        source=np.stack([np.full(scope.rows, file, np.int64), scope.entries], axis=1),
        index=np.arange(scope.rows, dtype=np.int64),
        truth=dict(truth),
    )


def _keys(plan: Plan, scope: Scope, event: dict[str, Array], inputs: dict[str, RaggedArray | Array]) -> Array:
    """Return the keys (N,) of the split: by event number, else by entry for jets of events, else by inputs."""
    if event:
        return hash_columns(list(event.values()))
    return entry_keys(scope.path, scope.entries) if plan.analysis.rows else hash_inputs(inputs)


def columns_of(plan: Plan, reader: Reader, with_truth: bool = True) -> list[str]:
    """Return the columns to read from an open file; a missing column, or one without numbers, is an error."""
    return columns_to_read(plan, list(reader.columns), with_truth, reader.path, reader.unreadable)


def columns_to_read(
    plan: Plan,
    available: list[str],
    with_truth: bool = True,
    path: str = "",
    unreadable: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the columns to read from a file; all of them if a user's processor needs them."""
    if plan.analysis.processor:
        return available
    columns = plan.columns(available, with_truth, path, unreadable)
    prefix = f"{plan.analysis.rows}_"
    if plan.analysis.rows and not any(name.startswith(prefix) for name in columns):
        raise CollidekitError(f"{plan.analysis.name}: rows: no branch that begins with {prefix!r} is used")
    return columns


def open_scope(plan: Plan, chunk: ak.Array, path: str, start: int, keep_all: bool = False) -> Scope:
    """Return the scope of a chunk that begins with the entry ``start`` of a file."""
    entries = np.arange(start, start + len(chunk), dtype=np.int64)
    if plan.analysis.processor:
        from collidekit.analysis.processor import run_processor

        chunk = run_processor(plan.analysis.processor, chunk, path)
        if "entry" in chunk.fields:
            entries = start + ak.to_numpy(chunk["entry"]).astype(np.int64)
        plan.columns(chunk.fields, with_truth=not keep_all)
    # a branch with a built-in name can only be used in backticks
    columns: dict[str, Any] = {quoted(n) if n in BUILT_IN else n: chunk[n] for n in chunk.fields}
    if plan.analysis.rows:
        return unroll(plan, columns, path, entries)
    return Scope(plan, {**columns, "row_index": np.zeros(len(entries), dtype=np.int64)}, path, entries)


def labels_of(plan: Plan, scope: Scope, keep_all: bool) -> Array:
    """Return the class index of each row (N,), -1 if no class holds; two classes for one row are an error."""
    labels = np.full(scope.rows, -1, dtype=np.int64)
    classes = [plan["classes", name] for name in plan.analysis.classes]
    if keep_all and not all(plan.available(expression.names, scope) for expression in classes):
        return labels
    for name in sorted({name for expression in classes for name in expression.names} | set(plan.leaves(classes))):
        _check_finite(scope, scope[name], f"{name} is {{}}, and a class depends on it")
    names = list(plan.analysis.classes)
    for k, expression in enumerate(classes):
        mask = scope.mask(expression)
        twice = np.flatnonzero(mask & (labels >= 0))
        if len(twice):
            other = names[labels[twice[0]]]
            raise CollidekitError(
                f"{expression.where}: classes {other!r} and {names[k]!r} overlap: row {scope.entries[twice[0]]} of "
                f"{scope.path} is in both"
            )
        labels[mask] = k
    return labels


def _check_finite(scope: Scope, values: Any, message: str) -> None:
    """Raise an error for the first row whose number is NaN or infinite; lists are not checked."""
    if isinstance(values, ak.Array | np.ndarray) and values.ndim == 1:
        numbers = np.asarray(values)
        if len(bad := np.flatnonzero(~np.isfinite(numbers))):
            said = message.format(numbers[bad[0]])
            raise CollidekitError(f"{scope.place(bad[0])}: {said}; exclude such rows in the selection")


def _check_kinematics(plan: Plan, scope: Scope) -> None:
    """Raise an error for rows with NaN or infinite kinematics, because they have no weight."""
    for name in plan.analysis.kinematics.bins if plan.analysis.kinematics else ():
        values = scope.numbers(plan["kinematics", name])
        _check_finite(scope, values, f"{name} is {{}}, and kinematics needs it")


def _weights(plan: Plan, scope: Scope, keep_all: bool) -> Array:
    if ("weight",) not in plan or (keep_all and not plan.available(plan["weight",].names, scope)):
        return np.ones(scope.rows, dtype=np.float32)
    weights = given_weights(plan, scope)
    _check_finite(scope, weights, f"the weight {plan['weight',].text!r} is {{}}")
    return weights


def given_weights(plan: Plan, scope: Scope) -> Array:
    """Return the weights of an analysis (N,) in single precision; an error if it cannot hold them."""
    weights = scope.numbers(plan["weight",])
    largest = float(np.abs(weights).max(initial=0.0, where=np.isfinite(weights)))
    if 0 < largest < SMALLEST_WEIGHT or largest > float(np.finfo(np.float32).max):
        raise CollidekitError(
            f"{plan['weight',].where}: {scope.path}: the weights {plan['weight',].text!r} are at most {largest:.3g}, which single "
            f"precision cannot hold; scale them: `weight: {plan['weight',].text} * {1 / largest:.0e}` (only their ratios matter)"
        )
    with np.errstate(over="ignore"):  # infinite weights are handled by the caller
        return weights.astype(np.float32)


def matches(path: str, pattern: str) -> bool:
    """Return whether a pattern of a process matches a file, by its path or its name."""
    return fnmatch(path, pattern) or fnmatch(PurePath(path).name, pattern)


def _process(plan: Plan, path: str) -> tuple[int, float]:
    """Return number and weight of the process that a file belongs to; -1 and 1 if there is none."""
    found = [
        (number, name, process)
        for number, (name, process) in enumerate(plan.analysis.processes.items())
        if matches(path, process.files)
    ]
    if len(found) > 1:
        patterns = " and ".join(f"{name!r} ({process.files!r})" for _, name, process in found)
        raise CollidekitError(f"{path}: belongs to the processes {patterns}; make their patterns exclude each other")
    return (found[0][0], found[0][2].weight) if found else (-1, 1.0)


def _check_process(plan: Plan, path: str) -> None:
    if plan.analysis.processes and _process(plan, path)[0] < 0:
        patterns = ", ".join(repr(process.files) for process in plan.analysis.processes.values())
        raise CollidekitError(f"{path}: belongs to no process of the analysis; their files are {patterns}")


def _spectators(plan: Plan, scope: Scope) -> dict[str, Array]:
    """Return spectators and kinematic variables, (N,) each."""
    places = [("spectators", i) for i in range(len(plan.analysis.spectators))]
    named: dict[str, Any] = dict(zip(plan.analysis.spectators, places, strict=True))
    for name in plan.analysis.kinematics.bins if plan.analysis.kinematics else ():
        named.setdefault(name, ("kinematics", name))
    return {name: exact(scope.numbers(plan[place])) for name, place in named.items()}


def _event_column(plan: Plan, scope: Scope, i: int) -> Array:
    """Return a column of the event number (N,), as int64 or uint64."""
    values, text = scope.numbers(plan["event", i]), plan["event", i].text
    if values.dtype == bool:
        raise CollidekitError(f"{plan['event', i].where}: {text!r} is a condition; an event number is needed")
    if values.dtype.kind == "f":
        digits = np.finfo(values.dtype).nmant + 1
        whole = (values == np.floor(values)) & (abs(values) <= 2.0**digits)
        if len(bad := np.flatnonzero(~whole)):
            raise CollidekitError(
                f"{scope.place(bad[0])}: the event number {text!r} is {values[bad[0]]}; it must be an integer, and not above "
                f"2^{digits} where the file holds floating-point numbers of {8 * values.dtype.itemsize} bits"
            )
        values = values.astype(np.int64)
    return exact(values)


def make_input(
    plan: Plan,
    scope: Scope,
    name: str,
    replaced: dict[str, int],
    with_targets: bool,
    places: dict[str, Array] | None = None,
) -> RaggedArray | Array:
    """Return one input of all rows; values that are not finite are replaced by the default and counted in ``replaced``.

    ``places`` receives their positions, by ``input.feature``: rows of a flat group, constituents (T,) of a collection.
    """
    entry = plan.analysis.inputs[name]
    if isinstance(entry, Group):
        columns = [scope.numbers(expression) for expression in plan.under("inputs", name, "features")]
        return _matrix(name, columns, entry.features, scope.rows, replaced, places)
    return _collection(plan, scope, name, entry, replaced, with_targets, places)


def _collection(
    plan: Plan,
    scope: Scope,
    name: str,
    entry: Collection,
    replaced: dict[str, int],
    with_targets: bool,
    places: dict[str, Array] | None,
) -> RaggedArray:
    keys = [("inputs", name, part) for part in ("features", "momenta", "coordinates")]
    used = [expression for key in keys for expression in plan.under(*key)]
    values = [scope.value(expression) for expression in used]
    counts = _lengths(plan, scope, name, entry, dict(zip(used, values, strict=True)))
    members = kept_members(plan, scope, name, entry, counts)
    columns = [flat_values(value, counts) for value in values]
    targets = None
    held = plan.analysis.target_columns(name)
    if held and (with_targets or PLACE in held):
        targets = make_targets(plan, scope, name, counts, with_targets)
    if members is not None:
        keep, counts = members
        columns = [column[keep] for column in columns]
        targets = None if targets is None else targets[keep]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    extra = [Feature(name=f"momenta_{i}") for i in range(entry.first_coordinate - entry.first_momentum)]
    extra += [Feature(name=f"coordinates_{i}") for i in range(entry.width - entry.first_coordinate)]
    data = _matrix(name, columns, [*entry.features, *extra], int(offsets[-1]), replaced, places)
    return RaggedArray(data, offsets, len(entry.features), bool(entry.momenta), targets)


def _lengths(plan: Plan, scope: Scope, name: str, entry: Collection, values: dict[Expression, Any]) -> Array:
    """Return the number of constituents in each row (N,) of the file; all lists of a collection must have the same."""
    others = [plan["inputs", name, key] for key in ("order", "where") if getattr(entry, key)]
    lengths: dict[str, Array] = {}
    for expression, value in [*values.items(), *((other, scope.value(other)) for other in others)]:
        if isinstance(value, ak.Array) and value.ndim > 2:
            raise CollidekitError(
                f"{expression.where}: {expression.text!r}: is a list of lists in each row of {scope.path}"
            )
        if isinstance(value, ak.Array) and value.ndim > 1:
            lengths[expression.text] = ak.to_numpy(ak.num(value, axis=1))
    if not lengths:
        first = next(iter(values))
        raise CollidekitError(
            f"{first.where}: collection {name!r} needs lists, but {first.text!r} is one number in each row of {scope.path}; without 'limit' "
            "and 'order' the input is a flat group"
        )
    return same_lengths(lengths, scope.place)


def kept_members(plan: Plan, scope: Scope, name: str, entry: Collection, counts: Array) -> tuple[Array, Array] | None:
    """Return the constituents to keep, in order, and their number in each row; None if nothing changes."""
    keep: Array | None = None
    rows = np.repeat(np.arange(len(counts)), counts)
    if entry.where:
        where = plan["inputs", name, "where"]
        kept = flat_values(scope.value(where), counts)
        refuse_numbers(kept, where)
        keep = np.flatnonzero(kept)
        rows = rows[keep]
    if entry.order:
        order = flat_values(scope.value(plan["inputs", name, "order"]), counts)
        order = (order if keep is None else order[keep]).astype(np.float64)
        wrong = ~((order[1:] <= order[:-1]) | (rows[1:] != rows[:-1]))
        if wrong.any():
            unsorted = np.zeros(len(counts), dtype=bool)
            unsorted[rows[1:][wrong]] = True
            part = np.flatnonzero(unsorted[rows])
            sequence = np.arange(len(rows))
            sequence[part] = part[_descending(order[part], np.bincount(rows, minlength=len(counts))[unsorted])]
            keep = sequence if keep is None else keep[sequence]
    if keep is not None:
        counts = np.bincount(rows, minlength=len(counts))
    if counts.max(initial=0) > entry.limit:
        position = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        within = position < entry.limit
        keep = np.flatnonzero(within) if keep is None else keep[within]
        counts = np.minimum(counts, entry.limit)
    return None if keep is None else (keep, counts)


def _descending(values: Array, counts: Array) -> Array:
    """Return positions that sort the values of each row in descending order, stable and with NaN last."""
    keys = np.where(np.isnan(values), np.inf, np.minimum(-values, np.finfo(np.float64).max))
    places = ak.flatten(ak.argsort(ak.unflatten(keys, counts), axis=1, stable=True), axis=1)
    sequence: Array = np.repeat(np.cumsum(counts) - counts, counts) + ak.to_numpy(places)
    return sequence


def _matrix(
    name: str,
    columns: list[Array],
    features: list[Feature],
    rows: int,
    replaced: dict[str, int],
    places: dict[str, Array] | None = None,
) -> Array:
    """Return columns side by side in float32 (rows, F), with defaults for values that are not finite, and clipped to bounds."""
    matrix = np.empty((rows, len(features)), dtype=np.float32)
    for i, (feature, column) in enumerate(zip(features, columns, strict=True)):
        with np.errstate(over="ignore"):
            values = column.astype(np.float32)
        good = np.isfinite(values)
        if not good.all():
            values[~good] = feature.fill
            key = f"{name}.{feature.name}"
            replaced[key] = replaced.get(key, 0) + int(np.count_nonzero(~good))
            if places is not None:
                places[key] = np.flatnonzero(~good)
        if feature.bounds:
            clipped = np.clip(values, *feature.bounds)
            values = (
                clipped if feature.default is None else np.where(values == np.float32(feature.default), values, clipped)
            )
        matrix[:, i] = values
    return matrix
