"""Expressions on flat lists: as fast as numpy, and ten times faster than awkward arrays for one batch."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np
from torch import Tensor

from collidekit.analysis.expressions import Expression
from collidekit.analysis.functions import choose
from collidekit.dataset.batch import Ragged

Array = np.ndarray[Any, Any]

REDUCTIONS = frozenset(
    {"sum", "mean", "std", "count", "any", "all", "argmax", "argmin", "first", "take", "sort", "position", "join"}
)
"""Functions of a list as a whole; others are ``max`` and ``min`` of one argument, and ``at`` of a fixed position."""
_OF_LISTS = REDUCTIONS | {"at", "pick", "spread"}


class Counts:
    """Numbers of members (N,) of the list of each row."""

    def __init__(self, counts: Array) -> None:
        self.counts = counts

    @cached_property
    def rows(self) -> Array:
        """Return the row of each member (T,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


class Lists(np.lib.mixins.NDArrayOperatorsMixin):
    """A list of numbers for each row, as concatenated ``values (T,)``. An array (N,) in the same expression is one number for each row."""

    def __init__(self, values: Array, shape: Counts) -> None:
        self.values, self.shape = values, shape

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any) -> Any:
        if method != "__call__":
            return NotImplemented
        return Lists(function(*(self.flat(value) for value in inputs)), self.shape)

    def choose(self, condition: Any, a: Any, b: Any) -> "Lists":
        """Return ``a`` for members that fulfil the condition, else ``b``."""
        return Lists(np.where(*(self.flat(value) for value in (condition, a, b))), self.shape)

    def reduced(self, name: str, values: Sequence[Any]) -> Any:
        """Return a function of lists as a whole if there is a fast implementation, else None."""
        return np.bincount(self.shape.rows, self.values, len(self.shape.counts)) if name == "sum" else None

    def as_number(self) -> "Lists":
        """Return conditions as 0 and 1."""
        return Lists(self.values.astype(np.int64), self.shape) if self.values.dtype == bool else self

    def flat(self, value: Any) -> Any:
        """Return another value for each member."""
        if isinstance(value, Lists):
            return value.values
        return value[self.shape.rows] if isinstance(value, np.ndarray) and value.ndim else value


def lists_of(entry: Ragged, values: Tensor, shape: Counts | None = None) -> Lists:
    """Return a column (T,) of a collection."""
    return Lists(values.double().numpy(), shape or Counts(entry.counts.numpy()))


class FlatExpression(Expression):
    """An expression on ``Lists`` and on arrays of one number for each row."""

    def _apply(self, function: Callable[..., Any], *values: Any, name: str = "") -> Any:
        if not any(isinstance(value, Lists) for value in values):
            found = super()._apply(function, *values, name=name)
            return _flat_lists(found) if name == "list" else found
        lists = next(value for value in values if isinstance(value, Lists))
        if name in _OF_LISTS or (name in ("max", "min") and len(values) == 1):
            found = lists.reduced(name, values)
            return self._with_awkward(function, values, name, lists) if found is None else found
        if function is choose or name == "where":
            return lists.choose(*values)
        return super()._apply(function, *(as_number(value) for value in values), name=name)

    def _with_awkward(self, function: Callable[..., Any], values: Any, name: str, lists: Lists) -> Any:
        arrays = [ak.unflatten(v.values, v.shape.counts) if isinstance(v, Lists) else v for v in values]
        found = super()._apply(function, *arrays, name=name)
        if isinstance(found, ak.Array) and found.ndim > 1:
            return _flat_lists(found, lists.shape)
        return np.asarray(found)


def _flat_lists(found: ak.Array, like: Counts | None = None) -> Lists:
    """Return awkward lists as ``Lists``, with the shape of ``like`` if the lengths are the same."""
    counts = ak.to_numpy(ak.num(found, axis=1))
    shape = like if like is not None and np.array_equal(counts, like.counts) else Counts(counts)
    return Lists(ak.to_numpy(ak.flatten(found, axis=1)), shape)


def as_number(value: Any) -> Any:
    """Conditions count as 0 and 1."""
    if isinstance(value, Lists):
        return value.as_number()
    return value.astype(np.int64) if isinstance(value, np.ndarray) and value.dtype == bool else value
