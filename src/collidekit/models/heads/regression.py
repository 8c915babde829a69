"""Regression of values of rows: one output each, converted from the learned scale to the unit of the truth."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from collidekit.analysis.targets import Regression
from collidekit.dataset.batch import Batch
from collidekit.errors import CollidekitError
from collidekit.models.heads.base import Head, exact

EXTREME = 1e150
"""Limit of values whose squares, or squares of their inverse, fit into double precision."""


class RegressionHead(Head):
    """Head of a regression: outputs are (x - shift) / width of x or log x, columns ``pred_<value>`` in the unit of the target."""

    shift: Tensor
    width: Tensor

    def __init__(self, target: Regression) -> None:
        super().__init__()
        self.target = target
        self.columns = tuple(f"pred_{name}" for name in target.values)
        self.register_buffer("shift", torch.zeros(len(target.values), dtype=torch.float64))
        self.register_buffer("width", torch.ones(len(target.values), dtype=torch.float64))

    @property
    def outputs(self) -> int:
        return self.target.outputs

    def fit(self, truth: np.ndarray[Any, Any]) -> None:
        """Compute shift and width from known values (N, V) of the training set; the width of a constant value is 1.

        Raises CollidekitError if their squares do not fit into double precision.
        """
        largest = np.abs(truth).max(axis=0)
        for name, size in zip(self.target.values, largest, strict=True):
            if size > EXTREME or 0 < size < 1 / EXTREME:
                raise CollidekitError(
                    f"value {name!r} of a target reaches {size:.3g}, whose square is too large or small; use another unit"
                )
        if self.target.scale == "none":
            return
        values = np.log(truth) if self.target.scale == "log" else truth
        if self.target.scale == "robust":
            low, shift, high = np.percentile(values, [16, 50, 84], axis=0)
            width = (high - low) / 2
        else:
            shift, width = values.mean(axis=0), values.std(axis=0)
        varies = width > 4 * np.finfo(np.float64).eps * np.abs(shift)
        self.shift = torch.from_numpy(np.asarray(shift)).to(self.shift.device)
        self.width = torch.from_numpy(np.where(varies, width, 1.0)).to(self.width.device)

    def scaled(self, truth: Tensor) -> Tensor:
        """Return the ideal outputs (N, V) for true values in their unit, in double precision."""
        values = truth.double()
        values = values.log() if self.target.scale == "log" else values
        return (values - self.shift.double()) / self.width.double()

    def in_unit(self, scaled: Tensor) -> Tensor:
        """Convert values (..., V) to the unit of the target, in double precision; the inverse of ``scaled``."""
        values = exact(scaled)
        values = values * self.width.to(values) + self.shift.to(values)
        return values.exp() if self.target.scale == "log" else values

    def estimates(self, raw: Tensor) -> Tensor:
        """Return one number (N, V) for each value, in the unit of the target."""
        return self.in_unit(raw)

    def decode(self, raw: Tensor) -> dict[str, Tensor]:
        """Return the estimates in the unit of the target."""
        values = self.estimates(raw)
        return {name: values[:, v] for v, name in enumerate(self.columns)}

    def answer(self, raw: Tensor, batch: Batch, name: str) -> dict[str, Tensor]:
        """Return the columns of ``decode``, and columns of target ``name`` that need the truth or the event numbers."""
        return self.decode(raw)
