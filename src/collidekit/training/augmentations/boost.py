"""Augmentation: a random boost of each row along the beam."""

import torch

from collidekit.analysis.schema import Analysis
from collidekit.consistency.momenta import Momenta
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.statistics import Statistics


class Boost:
    """Boost of each row along the beam, with a rapidity y drawn uniformly from [-strength, strength].

    E' = E cosh y + pz sinh y, pz' = pz cosh y + E sinh y for all constituents of a row: masses, transverse momenta and
    differences of rapidities do not change. Everything that the analysis computes from the momenta is computed again.
    """

    def __init__(self, analysis: Analysis, statistics: Statistics, strength: float) -> None:
        self.strength = strength
        self.momenta = Momenta("augmentation boost", analysis, ("pz", "energy", "eta"), fixed=False)

    def __call__(self, batch: Batch) -> Batch:
        rapidity = self.strength * (2 * torch.rand(len(batch), dtype=torch.float64) - 1)
        new = {}
        for name in self.momenta.names:
            entry = batch.inputs[name]
            assert isinstance(entry, Ragged)
            px, py, pz, energy = entry.momenta.double().unbind(1)
            cosh, sinh = rapidity.cosh()[entry.rows], rapidity.sinh()[entry.rows]
            new[name] = torch.stack([px, py, pz * cosh + energy * sinh, energy * cosh + pz * sinh], dim=1)
        return self.momenta.replace(batch, new)
