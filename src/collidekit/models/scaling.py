"""Scaling of features inside the model, standard or by percentiles, estimated without default values."""

from collections.abc import Mapping

import torch
from attrs import evolve
from torch import Tensor, nn

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Collection, Group
from collidekit.dataset.statistics import FeatureStatistics, Statistics
from collidekit.models.padded import AnyInput


class Scaling(nn.Module):
    """Scaling x' = (x - shift) / width of each feature; momenta and coordinates are not scaled.

    Standard: mean and standard deviation. Robust: median and half the distance of the 16th and 84th percentile.
    """

    def __init__(self, inputs: Mapping[str, Collection | Group]) -> None:
        super().__init__()
        self.names = list(inputs)
        self.features = {name: entry.features for name, entry in inputs.items()}
        for name, entry in inputs.items():
            self.register_buffer(f"{name}_shift", torch.zeros(entry.width))
            self.register_buffer(f"{name}_factor", torch.ones(entry.width))

    def fit(self, statistics: Statistics) -> None:
        """Compute shifts and widths from statistics of the training set."""
        for name, features in self.features.items():
            for i, feature in enumerate(features):
                shift, width = _shift_and_width(feature, statistics[name][feature.name])
                self.get_buffer(f"{name}_shift")[i] = shift
                self.get_buffer(f"{name}_factor")[i] = 1 / width

    def forward(self, inputs: Mapping[str, AnyInput]) -> dict[str, AnyInput]:
        return {name: self._scale(name, inputs[name]) for name in self.names}

    def _scale(self, name: str, entry: AnyInput) -> AnyInput:
        shift, factor = self.get_buffer(f"{name}_shift"), self.get_buffer(f"{name}_factor")
        if isinstance(entry, Tensor):
            return _apply(entry, shift, factor)
        return evolve(entry, data=_apply(entry.data, shift, factor))


def _apply(values: Tensor, shift: Tensor, factor: Tensor) -> Tensor:
    return (values - shift) * factor


def _shift_and_width(feature: Feature, statistics: FeatureStatistics) -> tuple[float, float]:
    """Return shift and width of a feature; the width of a constant feature is 1."""
    if feature.scaling == "none" or statistics.count == 0:
        return 0.0, 1.0
    if feature.scaling == "robust":
        percentiles = statistics.percentiles()
        shift, width = percentiles["50"], (percentiles["84"] - percentiles["16"]) / 2
    else:
        shift, width = statistics.mean, statistics.std
    return shift, width if width > 1e-6 * max(abs(shift), 1e-30) else 1.0
