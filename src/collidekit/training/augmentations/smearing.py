"""A random error of each constituent's momentum, in size or in direction."""

import torch
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.consistency.momenta import Momenta
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.statistics import Statistics

SMALLEST = 0.1
"""Least factor of a momentum: a wide Gaussian must not turn a constituent round."""


class Smearing:
    """Each constituent's four-momentum times 1 + strength g, with g from a Gaussian of width 1; its direction stays.

    What the analysis computes from the momenta is computed anew, other columns of the file stay as they are.
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
    """Each constituent's pseudorapidity and azimuth moved by strength g (radians); transverse momentum and mass stay."""

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
        mass2 = energy.square() - pt.square() - pz.square()  # rounding may make it negative: it stays what it is
        pz = pt * torch.sinh(torch.asinh(pz / pt) + deta)
        pz = torch.where(pt > 0, pz, entry.momenta[:, 2].double())
        turned = px * dphi.cos() - py * dphi.sin(), px * dphi.sin() + py * dphi.cos()
        return torch.stack([*turned, pz, (mass2 + pt.square() + pz.square()).sqrt()], dim=1)
