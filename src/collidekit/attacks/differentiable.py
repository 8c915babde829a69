"""Expressions of the analysis on torch tensors, with gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from collidekit.consistency.lists import Lists
from collidekit.errors import CollidekitError

TINY = 1e-30


def _sqrt(x: Tensor) -> Tensor:
    """Return the square root, with a finite derivative at 0."""
    return x.clamp_min(TINY).sqrt()


_SAME_NAME = (
    *("add", "subtract", "multiply", "true_divide", "floor_divide", "negative", "power", "remainder", "arctan2"),
    *(
        "exp",
        "log",
        "log10",
        "log1p",
        "expm1",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "arcsin",
        "arccos",
        "arctan",
    ),
    *("arcsinh", "arccosh", "arctanh", "absolute", "sign", "floor", "ceil", "maximum", "minimum", "isfinite", "isnan"),
    *("equal", "not_equal", "greater", "greater_equal", "less", "less_equal"),
    *("logical_and", "logical_or", "logical_not"),
)
_OTHER_NAME = {"power": "pow", "equal": "eq", "not_equal": "ne"}
UFUNCS: dict[np.ufunc, Any] = {
    getattr(np, name): getattr(torch, _OTHER_NAME.get(name, name)) for name in _SAME_NAME
} | {np.sqrt: _sqrt, np.hypot: lambda x, y: _sqrt(x * x + y * y)}
"""NumPy functions of expressions -> the same functions for tensors."""


class Differentiable(Lists):
    """Numbers (T,) of constituents in ``rows (T,)``, or (N,) of N rows if ``rows`` is None."""

    def __init__(self, values: Tensor, rows: Tensor | None, size: int) -> None:
        self.tensor, self.rows, self.size = values, rows, size

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any) -> Any:
        if method != "__call__" or function not in UFUNCS:
            raise CollidekitError(f"{function.__name__} cannot be differentiated")
        like = next((value for value in inputs if isinstance(value, Differentiable) and value.rows is not None), self)
        return Differentiable(UFUNCS[function](*(like.flat(value) for value in inputs)), like.rows, self.size)

    def flat(self, value: Any) -> Tensor:
        """Return another value with one number for each number of this one."""
        if isinstance(value, Differentiable):
            return value.tensor if value.rows is not None or self.rows is None else value.tensor[self.rows]
        other = torch.as_tensor(value, dtype=torch.float64, device=self.tensor.device)
        return other[self.rows] if other.ndim and self.rows is not None else other

    def choose(self, condition: Any, a: Any, b: Any) -> "Differentiable":
        given = (condition, a, b)
        like = next((value for value in given if isinstance(value, Differentiable) and value.rows is not None), self)
        mask, first, second = (like.flat(value) for value in given)
        return Differentiable(torch.where(mask.bool(), first, second), like.rows, self.size)

    def reduced(self, name: str, values: Sequence[Any]) -> "Differentiable":
        if name == "spread":
            return Differentiable(values[1].flat(values[0]), values[1].rows, self.size)
        if self.rows is None or name not in ("sum", "count", "mean"):
            raise CollidekitError(f"{name} cannot be differentiated")
        found = self._sum(torch.ones_like(self.tensor)) if name == "count" else self._sum(self.tensor)
        if name == "mean":
            found = found / self._sum(torch.ones_like(self.tensor))
        return Differentiable(found, None, self.size)

    def as_number(self) -> "Differentiable":
        if self.tensor.dtype != torch.bool:
            return self
        return Differentiable(self.tensor.double(), self.rows, self.size)

    def _sum(self, values: Tensor) -> Tensor:
        assert self.rows is not None
        return torch.zeros(self.size, dtype=values.dtype, device=values.device).index_add(0, self.rows, values)
