"""Augmentations: a random error of the size or of the direction of the momentum of each constituent."""

import torch
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.consistency.momenta import Momenta
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.statistics import Statistics

SMALLEST = 0.1
"""Smallest factor of a momentum, so that a wide Gaussian does not reverse the momentum."""


class Smearing:
    """Smearing of each four-momentum by a factor 1 + strength g, with a Gaussian random number g; the direction is constant.

    Everything that the analysis computes from the momenta is computed again. Other columns of the file stay constant.
    """

    def __init__(self, analysis: Analysis, statistics: Statistics, strength: float) -> None:
        self.strength = strength
        self.momenta = Momenta(
            "augmentation smearing", analysis, ("px", "py", "pz", "energy", "pt", "mass"), fixed=True
        )

    def __call__(self, batch: Batch) -> Batch:
        return self.momenta.replace(batch, {name: self._smear(batch, name) for name in self.momenta.names})

    def _smear(self, batch: Batch, name: str) -> Tensor:
        entry = batch.inputs[name]
        assert isinstance(entry, Ragged)
        factor = 1 + self.strength * torch.randn(len(entry.data), 1, dtype=torch.float64)
        return entry.momenta.double() * factor.clamp_min(SMALLEST)


class AngularSmearing:
    """Smearing of the angles of each constituent: strength g (radians) is added to eta and phi; pt and mass are constant."""

    def __init__(self, analysis: Analysis, statistics: Statistics, strength: float) -> None:
        self.strength = strength
        self.momenta = Momenta("augmentation angles", analysis, ("px", "py", "pz", "energy", "eta", "phi"), fixed=True)

    def __call__(self, batch: Batch) -> Batch:
        return self.momenta.replace(batch, {name: self._smear(batch, name) for name in self.momenta.names})

    def _smear(self, batch: Batch, name: str) -> Tensor:
        entry = batch.inputs[name]
        assert isinstance(entry, Ragged)
        px, py, pz, energy = entry.momenta.double().unbind(1)
        deta, dphi = self.strength * torch.randn(2, len(entry.data), dtype=torch.float64)
        pt = torch.hypot(px, py)
        mass2 = energy.square() - pt.square() - pz.square()  # may be negative by rounding, and is kept
        pz = pt * torch.sinh(torch.asinh(pz / pt) + deta)
        pz = torch.where(pt > 0, pz, entry.momenta[:, 2].double())
        turned = px * dphi.cos() - py * dphi.sin(), px * dphi.sin() + py * dphi.cos()
        return torch.stack([*turned, pz, (mass2 + pt.square() + pz.square()).sqrt()], dim=1)
