"""Filling of raw values before the scaling: missing and infinite values become defaults, others are clipped to bounds."""

from collections.abc import Mapping

import torch
from attrs import evolve
from torch import Tensor, nn

from collidekit.analysis.schema import Collection, Group
from collidekit.models.padded import AnyInput


class Filling(nn.Module):
    """Module that replaces NaN and infinity by the default of the feature (0 if it has none), and clips to the bounds.

    A value that equals the default is missing and is not clipped. Momenta and coordinates have default 0 and no bounds. The
    construction of a dataset does the same; values of a dataset do not change.
    """

    def __init__(self, inputs: Mapping[str, Collection | Group]) -> None:
        super().__init__()
        for name, entry in inputs.items():
            extra = entry.width - len(entry.features)
            bounds = [feature.bounds or (-torch.inf, torch.inf) for feature in entry.features]
            bounds += [(-torch.inf, torch.inf)] * extra
            columns = {
                "fill": [feature.fill for feature in entry.features] + [0.0] * extra,
                "default": [torch.nan if feature.default is None else feature.default for feature in entry.features]
                + [torch.nan] * extra,
                "low": [low for low, _ in bounds],
                "high": [high for _, high in bounds],
            }
            for part, values in columns.items():  # these follow from the analysis and are not part of the weights
                self.register_buffer(f"{name}_{part}", torch.tensor(values), persistent=False)

    def forward(self, inputs: Mapping[str, AnyInput]) -> dict[str, AnyInput]:
        """Return inputs in raw units, collections or (N, F), without missing values."""
        return {
            name: self._fill(name, entry)
            if isinstance(entry, Tensor)
            else evolve(entry, data=self._fill(name, entry.data))
            for name, entry in inputs.items()
        }

    def _fill(self, name: str, values: Tensor) -> Tensor:
        fill, default, low, high = (
            self.get_buffer(f"{name}_{part}").to(values) for part in ("fill", "default", "low", "high")
        )
        values = torch.where(values.isnan(), fill, values)  # first, because runtimes treat NaN differently
        values = torch.where(values.isinf(), fill, values)
        return torch.where(values == default, values, torch.clamp(values, low, high))
