"""Prediction of rows with a graph: input tensors are made from the rows, and outputs are put into the order of the rows."""

from typing import Any

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.analysis.targets import PLACE
from collidekit.dataset.arrays import RaggedArray, RowArrays
from collidekit.errors import CollidekitError
from collidekit.reconstruction.event_random import target_noise
from collidekit.runtime.blocks import cut, padded
from collidekit.runtime.schema import Schema, TensorIn
from collidekit.runtime.session import Session

Array = np.ndarray[Any, Any]


class Runner:
    """A graph of a bundle that predicts rows."""

    def __init__(self, session: Session, schema: Schema, analysis: Analysis) -> None:
        self.session, self.schema, self.analysis = session, schema, analysis
        self.noise = {entry.name: entry for entry in schema.inputs if entry.kind == "noise"}
        self.collections = [entry.of for entry in schema.inputs if entry.kind == "collection"]
        self.kinds = {entry.name: np.dtype(entry.dtype) for entry in schema.inputs}
        self.columns = [entry.name for entry in schema.outputs if entry.kind in ("probability", "value", "index")]
        _check_names(session, schema)

    def __call__(self, rows: RowArrays) -> dict[str, Array]:
        """Return the columns (N,) of rows, in their order; positions of constituents are positions in the file."""
        found: dict[str, Array] = {}
        for index in self._blocks(rows):
            for name, values in self.session.run(self.columns, self.tensors(rows, index)).items():
                if name not in found:
                    found[name] = np.empty(len(rows), dtype=values.dtype)
                found[name][index] = values
        return found | self._in_file(rows, found)

    def _blocks(self, rows: RowArrays) -> Any:
        if not self.collections or len(rows) <= 1:
            return [np.arange(len(rows))]
        fixed = sum(_draws(entry)[0] for entry in self.noise.values())
        return cut([rows.inputs[name].counts for name in self.collections], fixed)  # type: ignore[union-attr]

    def tensors(self, rows: RowArrays, index: Array) -> dict[str, Array]:
        """Return the input tensors for the rows of an index (n,)."""
        given: dict[str, Array] = {}
        for name, entry in rows.inputs.items():
            if isinstance(entry, RaggedArray):
                given[name], given[f"{name}_mask"] = padded(entry, index)
            else:
                given[name] = entry[index]
        if self.noise:
            event = rows.event or {"file": rows.source[:, 0], "row": rows.source[:, 1]}
            columns = {name: values[index] for name, values in event.items()}
            for name, noise in self.noise.items():
                given[name] = target_noise(columns, noise.of, *_draws(noise))[0]
        return {name: self.as_given(name, values) for name, values in given.items() if name in self.kinds}

    def as_given(self, name: str, values: Array) -> Array:
        """Return a tensor in the type of the graph; raise CollidekitError if this type cannot hold a value."""
        kind = self.kinds[name]
        if values.dtype == kind:
            return values
        if kind == np.float16 and (most := _largest(values)) > float(np.finfo(np.float16).max):
            raise CollidekitError(
                f"{self.session.path}: input {name!r} has half precision, which cannot hold the value {most:g}; export the model in "
                "single precision"
            )
        return values.astype(kind)

    def _in_file(self, rows: RowArrays, found: dict[str, Array]) -> dict[str, Array]:
        """Return the columns with positions of constituents, converted from positions in the input to positions in the file."""
        positions = {}
        for target in self.analysis.assignments.values():
            for parent, slots in target.parents.items():
                for slot in slots:
                    name, collection = f"index_{parent}_{slot}", target.collection_of(parent, slot)
                    entry = rows.inputs[collection]
                    if name in found and isinstance(entry, RaggedArray):
                        positions[name] = _places(entry, found[name], PLACE in self.analysis.target_columns(collection))
        return positions


def _places(entry: RaggedArray, position: Array, are_held: bool) -> Array:
    """Convert positions (N,) among the kept constituents to positions in the file; -1 is kept."""
    if not are_held or entry.targets is None:
        return position
    there = position >= 0
    found = position.copy()
    found[there] = entry.targets[(entry.offsets[:-1] + position)[there], -1]
    return found


def _largest(values: Array) -> float:
    """Return the largest magnitude of the finite values; 0 if there are none."""
    return float(np.abs(values).max(initial=0.0, where=np.isfinite(values)))


def _draws(entry: TensorIn) -> tuple[int, int]:
    """Return the numbers of draws K and values V of the noise of a target, from its shape (N, K, V)."""
    return int(entry.shape[1]), int(entry.shape[2])


def _check_names(session: Session, schema: Schema) -> None:
    """Raise CollidekitError if the inputs or outputs of a graph differ from the schema."""
    for what, there, said in (
        ("inputs", session.inputs, {entry.name for entry in schema.inputs}),
        ("outputs", [entry.name for entry in schema.outputs], set(session.outputs)),
    ):
        if other := [name for name in there if name not in said]:
            raise CollidekitError(
                f"{session.path}: has the {what} {', '.join(session.inputs if what == 'inputs' else session.outputs)}, which does "
                f"not agree with the schema about {other[0]!r}; export the model again"
            )
