"""Attack space in which each feature changes separately, like an error of the simulation."""

from collections.abc import Mapping

import torch
from attrs import evolve
from torch import Tensor

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Analysis
from collidekit.attacks.region import Moves, Region
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.batch import Batch, Ragged
from collidekit.errors import CollidekitError
from collidekit.models.scaling import Scaling


def inputs_to_attack(analysis: Analysis, settings: AttackSettings) -> list[str]:
    """Return the inputs that the settings select; raise an error if there are none."""
    kinds = {"all": list(analysis.inputs), "constituents": list(analysis.collections), "globals": list(analysis.groups)}
    names = kinds[settings.attack_inputs]
    if not names:
        raise CollidekitError(f"{analysis.name}: has no input for attack-inputs {settings.attack_inputs}")
    return names


class FeatureSpace:
    """Changes of features: a change of 1 is the width with which the model scales the feature, times the factor of the feature.

    Only attackable features change. With ``attack_reduce``, integers, flags and default values stay constant. Values stay
    within their bounds; with ``attack_restrict_impact`` r, the change of a value x is at most r |x|. Momenta and coordinates
    stay constant.
    """

    def __init__(
        self, analysis: Analysis, scaling: Scaling, settings: AttackSettings, factors: Mapping[str, Tensor] | None = None
    ) -> None:  # fmt: skip
        self.settings = settings
        self.features: dict[str, list[Feature]] = {}
        self.units: dict[str, Tensor] = {}
        for name in inputs_to_attack(analysis, settings):
            features = list(analysis.inputs[name].features)
            may = [f.attackable and (f.kind == "continuous" or not settings.attack_reduce) for f in features]
            if any(may):
                width = 1 / scaling.get_buffer(f"{name}_factor")[: len(features)].detach().double()
                factor = (factors or {}).get(name, torch.ones(len(features))).to(width)
                self.features[name], self.units[name] = features, width * factor * torch.tensor(may).to(width)
        if not any(bool((unit != 0).any()) for unit in self.units.values()):
            raise CollidekitError(
                f"{analysis.name}: there is nothing to attack: no feature of {', '.join(inputs_to_attack(analysis, settings))} "
                "is continuous and attackable and has a factor other than 0"
            )

    def region(self, batch: Batch) -> Region:
        values, units, low, high = {}, {}, {}, {}
        for name, features in self.features.items():
            entry = batch.inputs[name]
            values[name] = (entry.values if isinstance(entry, Ragged) else entry).clone()
            units[name] = self.units[name].to(values[name])
            low[name], high[name] = self._limits(values[name], units[name], features)

        def make(moves: Moves) -> Batch:
            inputs = dict(batch.inputs)
            for name, features in self.features.items():
                moved = self._bounded(values[name], moves[name] * units[name], features)
                entry = batch.inputs[name]
                inputs[name] = entry.with_values(moved) if isinstance(entry, Ragged) else moved
            return evolve(batch, inputs=inputs)

        return Region(batch, make, low, high)

    def _limits(self, values: Tensor, unit: Tensor, features: list[Feature]) -> tuple[Tensor, Tensor]:
        """Return the smallest and largest change of each value."""
        down, up = torch.full_like(values, -torch.inf), torch.full_like(values, torch.inf)
        for column, feature in enumerate(features):
            x = values[:, column]
            if feature.bounds is not None:
                down[:, column] = (feature.bounds[0] - x).clamp_max(0)
                up[:, column] = (feature.bounds[1] - x).clamp_min(0)
            if feature.default is not None and self.settings.attack_reduce:
                fixed = x == feature.default
                down[:, column] = torch.where(fixed, 0, down[:, column])
                up[:, column] = torch.where(fixed, 0, up[:, column])
        if self.settings.attack_restrict_impact >= 0:
            most = self.settings.attack_restrict_impact * values.abs()
            down, up = torch.maximum(down, -most), torch.minimum(up, most)
        ends = torch.where(unit == 0, 0, down / unit), torch.where(unit == 0, 0, up / unit)
        return torch.minimum(*ends), torch.maximum(*ends)

    @staticmethod
    def _bounded(values: Tensor, by: Tensor, features: list[Feature]) -> Tensor:
        """Return the changed values, limited to their bounds also after rounding."""
        moved = values + by
        if all(feature.bounds is None for feature in features):
            return moved
        low = torch.tensor([-torch.inf if f.bounds is None else f.bounds[0] for f in features]).to(moved)
        high = torch.tensor([torch.inf if f.bounds is None else f.bounds[1] for f in features]).to(moved)
        return torch.where(by == 0, moved, torch.minimum(torch.maximum(moved, low), high))
