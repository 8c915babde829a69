"""The columns of exported events: names, types, units, and their values in a batch."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from collidekit.analysis.schema import Analysis, Collection
from collidekit.analysis.targets import PLACE, Assignment, Regression
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.targets import NONE, UNKNOWN

Array = np.ndarray[Any, Any]
Key = tuple[str, ...]

METADATA = "metadata"
"""The name of the entry that describes the columns."""
EXACT = "exact"
"""The type of an exact column: int64, uint64 or float64, whichever holds all of its values."""
PARTS = ("training", "validation", "test")
"""The meaning of 0, 1 and 2 in the column ``split``."""


@dataclass(frozen=True)
class Column:
    """One column: numbers of rows (N,), or of the constituents of a collection."""

    name: str
    key: Key
    """The source of the values: a kind and its place, such as ``("input", "jets", "3")``."""
    dtype: str
    collection: str = ""
    unit: str = ""
    missing: float | None = None
    """The value for missing data, if the analysis has one."""
    expression: str = ""


def find_columns(analysis: Analysis, split: str = "") -> list[Column]:
    """Return the columns of an analysis; ``split`` is the name of the column with the part of each row.

    If a name is taken already, its kind is put before it: a spectator ``jet_pt`` beside a feature ``jet_pt`` is
    ``spectator_jet_pt``.
    """
    found: list[Column] = []
    taken = {METADATA}

    def add(name: str, before: str, key: Key, dtype: str, **about: Any) -> None:
        while name in taken:
            name = f"{before}_{name}"
        taken.add(name)
        found.append(Column(name, key, dtype, **about))

    for name, entry in analysis.inputs.items():
        collection = name if isinstance(entry, Collection) else ""
        if collection:
            add(f"n_{name}", "count", ("count", name), "int32")
        for i, feature in enumerate(entry.features):
            add(
                feature.name, name, ("input", name, str(i)), "float32",
                collection=collection, unit=feature.unit, missing=feature.default, expression=feature.expression,
            )  # fmt: skip
        if isinstance(entry, Collection):
            more = [*((p, "GeV") for p in ("px", "py", "pz", "E") if entry.momenta)]
            more += [*((f"coordinate_{i}", "") for i in range(2) if entry.coordinates)]
            for i, (part, unit) in enumerate(more, len(entry.features)):
                key = ("input", name, str(i))
                add(f"{name}_{part}", "momentum" if unit else "input", key, "float32", collection=name, unit=unit)
            for k, target in enumerate(analysis.target_columns(name)):
                label = f"{name}_{PLACE}" if target == PLACE else target
                add(label, "target", ("member", name, str(k)), "int32", collection=name)
    for name, row_target in analysis.row_targets.items():
        unit = row_target.unit if isinstance(row_target, Regression) else ""
        kind = "int32" if isinstance(row_target, Assignment) else "float64"
        for v, value in enumerate(row_target.values):
            add(value, "target", ("truth", name, str(v)), kind, unit=unit)
    if analysis.classes:
        add("label", "class", ("label",), "int32")
    add("weight", "row", ("weight",), "float32")
    spectators = [*analysis.spectators, *(analysis.kinematics.bins if analysis.kinematics else ())]
    for name in dict.fromkeys(spectators):
        add(name, "spectator", ("spectator", name), EXACT, unit=analysis.units.get(name, ""), expression=name)
    for name in analysis.event:
        add(name, "event", ("event", name), EXACT)
    if analysis.processes:
        add("process", "row", ("process",), "int32")
    if split:
        add(split, "row", ("split",), "int32")
    for name in ("file", "entry"):
        add(name, "row", (name,), "int64")
    return found


def column_values(column: Column, batch: Batch, analysis: Analysis) -> Array:
    """Return the values of a column: (N,), or (T,) for the constituents of all rows one after another."""
    kind, *place = column.key
    if kind in ("input", "member"):
        entry, number = batch.inputs[place[0]], int(place[1])
        if not isinstance(entry, Ragged):
            return entry.numpy()[:, number]
        if kind == "input":
            return entry.data.numpy()[:, number]
        assert entry.targets is not None
        return entry.targets.numpy()[:, number]
    if kind == "count":
        entry = batch.inputs[place[0]]
        assert isinstance(entry, Ragged)
        return entry.counts.numpy().astype(np.int32)
    if kind == "truth":
        target, number = analysis.row_targets[place[0]], int(place[1])
        values = batch.truth[place[0]].numpy()[:, number]
        if not isinstance(target, Assignment):
            return values
        slots = [target.collection_of(parent, slot) for parent, slots in target.parents.items() for slot in slots]
        return kept_positions(values, batch, slots[number], analysis)[0]
    if kind in ("spectator", "event"):
        return (batch.spectators if kind == "spectator" else batch.event)[place[0]].numpy()
    if kind in ("file", "entry"):
        return batch.source.numpy()[:, int(kind == "entry")]
    simple = {"label": batch.labels, "weight": batch.weights, "process": batch.processes}[kind].numpy()
    return simple.astype(column.dtype)


def kept_positions(positions: Array, batch: Batch, collection: str, analysis: Analysis) -> tuple[Array, int]:
    """Return true positions (N,) in the file as positions among the kept constituents, in their order.

    NONE (-1) means that a constituent is not in the event or not kept, UNKNOWN (-2) means NaN. The second number counts the
    constituents that ``where`` or ``limit`` left out.
    """
    entry = batch.inputs[collection]
    assert isinstance(entry, Ragged)
    assert entry.targets is not None
    places = entry.targets.numpy()[:, analysis.target_columns(collection).index(PLACE)]
    rows, offsets = entry.rows.numpy(), entry.offsets.numpy()
    wanted = np.where(np.isfinite(positions), positions, UNKNOWN).astype(np.int64)
    here = np.flatnonzero(places == wanted[rows])
    found = np.where(wanted == UNKNOWN, UNKNOWN, NONE).astype(np.int32)
    found[rows[here]] = here - offsets[rows[here]]
    return found, int(np.count_nonzero((wanted >= 0) & (found < 0)))


def cut_off(batch: Batch, analysis: Analysis) -> int:
    """Return how many true constituents of assignments are in the event but not kept."""
    total = 0
    for name, target in analysis.assignments.items():
        slots = [target.collection_of(parent, slot) for parent, slots in target.parents.items() for slot in slots]
        for v, collection in enumerate(slots):
            total += kept_positions(batch.truth[name].numpy()[:, v], batch, collection, analysis)[1]
    return total


def of_collection(columns: Iterable[Column], collection: str) -> list[Column]:
    """Return the columns with values of the constituents of a collection."""
    return [column for column in columns if column.collection == collection]
