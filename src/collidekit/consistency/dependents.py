"""Recomputation of the features of a batch that depend on an augmentation or an attack."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from attrs import evolve
from torch import Tensor

from collidekit.analysis.features import Feature
from collidekit.analysis.functions import delta_phi
from collidekit.analysis.schema import Analysis, Collection
from collidekit.consistency.changes import Follower, Rules, UnknownNameError
from collidekit.consistency.lists import Array, Counts, Lists
from collidekit.dataset.batch import Batch, Input, Ragged
from collidekit.errors import CollidekitError


@dataclass(frozen=True)
class Column:
    """A feature or a coordinate of an input: its column and its expression."""

    position: int
    node: ast.expr
    feature: Feature

    @property
    def text(self) -> str:
        return ast.unparse(self.node)

    @property
    def as_computed(self) -> bool:
        """Return whether the column holds the unchanged result of the expression."""
        return self.feature.bounds is None and self.feature.default is None


class Dependents:
    """All columns of an analysis that change under some rules; raises an error if one of them cannot be recomputed.

    The augmentation itself changes the columns ``apart`` of an input, given by their positions.
    """

    def __init__(
        self, what: str, analysis: Analysis, rules: Rules, apart: Mapping[str, frozenset[int]] | None = None
    ) -> None:
        self.rules, self.collections = rules, analysis.collections
        self.columns = {name: _columns(entry, rules) for name, entry in analysis.inputs.items()}
        self.changing = {
            name: [c for c in columns if c.position not in (apart or {}).get(name, ()) and rules.changes(c.node)]
            for name, columns in self.columns.items()
        }
        self._check(what)

    def __bool__(self) -> bool:
        return any(self.changing.values())

    def __call__(
        self, before: Batch, after: Mapping[str, Input], old: Mapping[str, Lists], new: Mapping[str, Lists],
        kept: Mapping[str, Tensor] | None = None
    ) -> Batch:  # fmt: skip
        """Return the batch with new inputs ``after``, and with all columns that depend on the names recomputed.

        ``old`` and ``new`` are the values of names, a list for each row. ``kept (T,)`` tells which constituents of a
        collection stay.
        """
        kept, cut = kept or {}, self._may_be_cut(before)
        inputs: dict[str, Input] = {**before.inputs, **after}
        vanished = {name: before.inputs[name].counts - inputs[name].counts for name in kept}  # type: ignore[union-attr]
        numbers = {name: values.numpy() for name, values in vanished.items()}
        for name, columns in self.changing.items():
            if not columns:
                continue
            table = _Table(inputs[name], self.columns[name])
            keep = kept[name].numpy() if name in kept else None
            follower = Follower(self.rules, old, new, table.stored, table.shape, keep, numbers)
            with np.errstate(all="ignore"):
                for column in columns:
                    table.put(column, self._values(column, follower, table, cut))
            inputs[name] = table.entry
        return evolve(before, inputs=inputs)

    def _values(self, column: Column, follower: Follower, table: "_Table", cut: bool) -> Array:
        """Return the new values (T,) or (N,), before defaults and bounds.

        If the expression uses a list as a whole, and a limit or condition may have cut the list, only the difference is added.
        """
        node = column.node
        by_difference = cut and self.rules.reduces(node)
        if self.rules.known(node) and not by_difference:
            return table.flat(follower.value(node))
        change, stored = follower.change(node), table.column(column)
        if change.new is not None and not by_difference:
            return table.flat(change.new)
        if change.new is None and change.plus is None:
            return stored * table.flat(change.times)
        values = stored + table.flat(change.difference())
        return np.asarray(delta_phi(values, 0.0)) if self.is_angle(column) else values

    def is_angle(self, column: Column) -> bool:
        """Return whether a column is a difference of two angles, which is wrapped to [-pi, pi]."""
        match self.rules.definition(column.node):
            case ast.Call(func=ast.Name(id="delta_phi")):
                return True
        return False

    def _may_be_cut(self, batch: Batch) -> bool:
        """Return whether a collection may have had more members in the file."""
        return any(
            entry.where is not None or bool((batch.inputs[name].counts >= entry.limit).any())  # type: ignore[union-attr]
            for name, entry in self.collections.items()
        )

    def _check(self, what: str) -> None:
        """Follow every column once, on rows in which only the names matter."""
        shape = Counts(np.array([2, 1]))
        lists = Lists(np.array([1.0, 2.0, 3.0]), shape)
        values = dict.fromkeys(self.rules.names, lists)
        vanished = {name: np.zeros(2) for names in self.rules.lists.values() for name in names}
        refused: list[str] = []
        missing: dict[str, None] = {}
        for name, columns in self.changing.items():
            stored = {column.text: lists for column in self.columns[name] if column.as_computed}
            follower = Follower(self.rules, values, values, stored, shape, None, vanished)
            for column in columns:
                try:
                    with np.errstate(all="ignore"):
                        follower.change(column.node)
                except UnknownNameError as error:
                    refused.append(f"{column.text} of {name}")
                    missing[str(error)] = None
        if refused:
            raise CollidekitError(
                f"{what}: cannot recompute {', '.join(dict.fromkeys(refused))}: depends on "
                f"{', '.join(missing)} too, which a batch does not hold; write that with the momenta in the analysis file, "
                f"or leave {what} out"
            )


class _Table:
    """Columns of an input, which are changed one by one."""

    def __init__(self, entry: Input, columns: list[Column]) -> None:
        self._ragged = entry if isinstance(entry, Ragged) else None
        self._data = (entry.data if isinstance(entry, Ragged) else entry).clone()
        self.shape = Counts(entry.counts.numpy() if isinstance(entry, Ragged) else np.ones(len(entry), dtype=np.int64))
        self.stored = {column.text: self._as_lists(column) for column in columns if column.as_computed}

    @property
    def entry(self) -> Input:
        return self._data if self._ragged is None else evolve(self._ragged, data=self._data)

    def column(self, column: Column) -> Array:
        return self._data[:, column.position].numpy().astype(np.float64)

    def flat(self, values: Any) -> Array:
        """Return one number for each constituent (T,), or each row (N,)."""
        if isinstance(values, Lists):
            return values.values
        numbers = np.asarray(values)
        if self._ragged is not None and numbers.ndim:
            numbers = numbers[self.shape.rows]
        return np.broadcast_to(numbers, (len(self._data),))

    def put(self, column: Column, values: Array) -> None:
        """Set new values within the bounds; missing values and values that are not finite do not change."""
        feature, stored = column.feature, self._data[:, column.position].numpy()
        found = values.astype(np.float32)
        good = np.isfinite(found)
        if feature.default is not None:
            good &= stored != np.float32(feature.default)
        if feature.bounds is not None:
            found = np.clip(found, *feature.bounds)
        self._data[:, column.position] = torch.from_numpy(np.where(good, found, stored).astype(np.float32))

    def _as_lists(self, column: Column) -> Any:
        values = self.column(column)
        return values if self._ragged is None else Lists(values, self.shape)


def _columns(entry: Any, rules: Rules) -> list[Column]:
    """Return the features, then the coordinates, at their positions in the data."""
    found = [Column(i, rules.tree(feature.expression), feature) for i, feature in enumerate(entry.features)]
    if isinstance(entry, Collection) and entry.coordinates:
        for i, text in enumerate(entry.coordinates):
            found.append(Column(entry.first_coordinate + i, rules.tree(text), Feature(name=f"coordinates_{i}")))
    return found
