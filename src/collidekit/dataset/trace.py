"""The origin of each number of one row: columns of the file, selection, variables, class, features."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.expressions import Expression
from collidekit.analysis.features import Feature
from collidekit.analysis.names import quoted
from collidekit.analysis.schema import Collection
from collidekit.analysis.scope import BUILT_IN, Plan, Scope, flat_values
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.rows import columns_of, kept_members, make_arrays, open_scope
from collidekit.errors import CollidekitError
from collidekit.readers import open_file

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TracedValue:
    """A name or condition and its value in the row: a number, a list, or None if the file does not contain it."""

    name: str
    text: str
    value: Any
    uses: dict[str, Any] = field(default_factory=dict)
    """The numbers of the row that a condition uses."""


@dataclass(frozen=True)
class TracedFeature:
    """One feature: the values of its expression and the values for the network, (K,) each for the K kept constituents."""

    feature: Feature
    raw: Floats
    final: Floats

    def note(self, i: int) -> str:
        """Return the change of a value: empty, ``is the default``, or the bounds."""
        raw, final = self.raw[i], self.final[i]
        if not np.isfinite(np.float32(raw)):
            return "default"
        if final != np.float32(raw):
            return "bounds"
        return (
            "is the default" if self.feature.default is not None and final == np.float32(self.feature.default) else ""
        )


@dataclass(frozen=True)
class TracedInput:
    """One collection or group; ``positions`` (K,) are the positions of the kept constituents in the lists of the file."""

    name: str
    collection: Collection | None
    in_file: int
    passing: int
    """Number of constituents that pass ``where``."""
    positions: NDArray[np.int64]
    features: list[TracedFeature]


@dataclass(frozen=True)
class Trace:
    """The complete trace of one row. ``label`` is the class index, -1 for none; ``batch`` holds only this row."""

    plan: Plan
    path: str
    row: int
    member: int
    members: int
    columns: list[TracedValue]
    selection: list[TracedValue]
    variables: list[TracedValue]
    classes: list[TracedValue]
    targets: list[TracedValue]
    """The values of targets of rows."""
    label: int
    weight: float
    inputs: list[TracedInput]
    batch: Batch

    @property
    def selected(self) -> bool:
        return all(bool(term.value) for term in self.selection)


def trace(plan: Plan, path: str, row: int, member: int = 0) -> Trace:
    """Return the trace of one row of a file; with ``rows: Jet`` in the analysis, ``member`` is the number of the jet."""
    with open_file(path, plan.analysis.source) as reader:
        if not 0 <= row < reader.rows:
            last = f"rows 0 to {reader.rows - 1:,}" if reader.rows else "no rows"
            raise CollidekitError(f"{path}: there is no row {row:,}; the file has {last}")
        columns = columns_of(plan, reader, with_truth=False)
        chunk = reader.read(columns, row, row + 1)
    scope = open_scope(plan, chunk, path, row)
    what = plan.analysis.rows or "row of the processor"
    if not 0 <= member < scope.rows:
        holds = f"members 0 to {scope.rows - 1}" if scope.rows else "none"
        raise CollidekitError(f"{path}: row {row}: there is no {what} {member}; the row has {holds}")
    members = scope.rows
    mask = np.arange(members) == member
    scope = scope.select(mask)
    label, classes = _classes(plan, scope)
    weight = _value(scope, plan["weight",]) if ("weight",) in plan else 1.0
    weight = float("nan") if weight is None else float(weight)
    weights = np.array([weight if np.isfinite(weight) else 1.0], dtype=np.float32)
    batch = Batch.of(make_arrays(plan, scope, np.array([label]), weights, 0, {}, {}))
    targets = [
        TracedValue(f"{name}.{key}", expression.text, _value(scope, expression))
        for name, target in plan.analysis.row_targets.items()
        for key, expression in zip(target.values, plan.under("targets", name), strict=True)
    ]
    return Trace(
        plan=plan, path=path, row=row, member=member, members=members,
        columns=[_column(name, str(chunk[name].type.content), _first(scope[quoted(name)])) for name in columns],
        selection=list(_terms(plan, scope)),
        variables=[
            TracedValue(name, plan.variables[name].text, value)
            for name in _in_order(plan)
            if (value := _value(scope, plan.variables[name])) is not None
        ],
        classes=classes, targets=targets, label=label, weight=weight,
        inputs=[_input(plan, scope, batch, name) for name in plan.analysis.inputs],
        batch=batch,
    )  # fmt: skip


def _column(name: str, columntype: str, value: Any) -> TracedValue:
    """Return a traced column; if rows are members of a list, a list in the file is a number in the row."""
    return TracedValue(name, columntype if isinstance(value, list) else columntype.removeprefix("var * "), value)


def _first(values: Any) -> Any:
    """Return the value of the only row: a number or a list."""
    if not isinstance(values, ak.Array | np.ndarray) or values.ndim == 0:
        return values
    value = values[0]
    return value.to_list() if isinstance(value, ak.Array) else value


def _value(scope: Scope, expression: Expression) -> Any:
    """Return the value of an expression; None if the file lacks a column that it needs."""
    try:
        return _first(scope.value(expression))
    except KeyError:
        return None


def _terms(plan: Plan, scope: Scope) -> Iterator[TracedValue]:
    if ("selection",) in plan:
        for term in plan["selection",].terms():
            yield TracedValue(term.text, term.text, bool(scope.mask(term)[0]), _uses(scope, term))


def _classes(plan: Plan, scope: Scope) -> tuple[int, list[TracedValue]]:
    label, found = -1, []
    for k, (name, text) in enumerate(plan.analysis.classes.items()):
        expression = plan["classes", name]
        value = _value(scope, expression)
        if value is not None and bool(value) and label < 0:
            label = k
        found.append(TracedValue(name, text, value if value is None else bool(value), _uses(scope, expression)))
    return label, found


def _uses(scope: Scope, expression: Expression) -> dict[str, Any]:
    """Return the numbers, but not the lists, that an expression uses."""
    uses = {}
    for name in sorted(expression.names):
        if name in scope or name in BUILT_IN:
            try:
                value = _first(scope[name])
            except KeyError:
                continue
            if not isinstance(value, list):
                uses[name] = value
    return uses


def _in_order(plan: Plan) -> list[str]:
    """Return the variables in an order in which each comes after those that it uses."""
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        for used in sorted(plan.variables[name].names & plan.variables.keys()):
            visit(used)
        order[name] = None

    for name in plan.variables:
        visit(name)
    return list(order)


def _input(plan: Plan, scope: Scope, batch: Batch, name: str) -> TracedInput:
    entry, data = plan.analysis.inputs[name], batch.inputs[name]
    expressions = plan.under("inputs", name, "features")
    if not isinstance(data, Ragged) or not isinstance(entry, Collection):
        matrix = data.numpy() if not isinstance(data, Ragged) else data.values.numpy()
        raw = [np.asarray(scope.numbers(expression), dtype=np.float64) for expression in expressions]
        features = [TracedFeature(f, raw[i], matrix[:, i]) for i, f in enumerate(entry.features)]
        return TracedInput(name, None, 1, 1, np.zeros(1, np.int64), features)
    values = [scope.value(expression) for expression in expressions]
    lists = next(value for value in values if isinstance(value, ak.Array) and value.ndim > 1)
    counts = ak.to_numpy(ak.num(lists, axis=1))
    members = kept_members(plan, scope, name, entry, counts)
    positions = np.arange(counts[0]) if members is None else members[0]
    passing = int(counts[0])
    if entry.where:
        passing = int(flat_values(scope.value(plan["inputs", name, "where"]), counts).astype(bool).sum())
    columns = [np.asarray(flat_values(value, counts), dtype=np.float64)[positions] for value in values]
    matrix = data.values.numpy()
    features = [TracedFeature(f, columns[i], matrix[:, i]) for i, f in enumerate(entry.features)]
    return TracedInput(name, entry, int(counts[0]), passing, positions, features)
