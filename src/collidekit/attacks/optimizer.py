"""Attack that minimises the distance and the confidence with Adam."""

import torch

from collidekit.attacks.base import Attack
from collidekit.attacks.gradient import Loss, of_sum
from collidekit.attacks.region import Moves, Region
from collidekit.models.tagger import Tagger

RATE = 0.1
"""Learning rate of Adam, in units of the uncertainty."""


class OptimizerAttack(Attack):
    """Adam minimises sum (change / uncertainty)^2 + log [P(true) / (1 - P(true))] of each row, starting at the row itself.

    The first term is the distance in units of the uncertainty of each feature, the second the confidence in the true class.
    Compare Carlini and Wagner, arXiv 1608.04644, section VI. A magnitude above 0 limits the changes.
    """

    needs_magnitude = False

    def moves(self, tagger: Tagger, region: Region, seed: int, loss: Loss) -> Moves:
        unit = self.settings.attack_uncertainty
        leaves = {name: values.requires_grad_() for name, values in region.nowhere().items()}
        adam = torch.optim.Adam(list(leaves.values()), lr=RATE)
        for _ in range(self.settings.attack_iterations):
            moves = region.clamp({name: unit * leaf for name, leaf in leaves.items()})
            true = (-loss(tagger(region.make(moves)), region.batch.labels)).clamp_max(-1e-6)
            confidence = true - torch.log(-torch.expm1(true))
            distance = region.squares(leaves)
            for leaf, slope in zip(leaves.values(), of_sum(distance + confidence, leaves).values(), strict=True):
                leaf.grad = slope
            adam.step()
        moves = region.clamp({name: unit * leaf.detach() for name, leaf in leaves.items()})
        return region.project(moves, self.magnitude) if self.magnitude > 0 else moves
