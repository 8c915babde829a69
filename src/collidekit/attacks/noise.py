"""Gaussian noise."""

import math

from torch import Tensor

from collidekit.attacks.base import Attack
from collidekit.attacks.gradient import Loss
from collidekit.attacks.region import Moves, Region
from collidekit.models.tagger import Tagger


class Noise(Attack):
    """Normal random numbers (offset, magnitude), in widths of the feature: a change of the same size without a gradient."""

    def moves(self, tagger: Tagger, region: Region, seed: int, loss: Loss) -> Moves:
        radius, angle = region.random(2 * seed * 7_919), region.random((2 * seed + 1) * 7_919)
        return {
            name: self.settings.attack_offset + self.magnitude * _normal(radius[name], angle[name]) for name in radius
        }


def _normal(first: Tensor, second: Tensor) -> Tensor:
    """Return normal random numbers from two uniform ones (Box, Muller 1958)."""
    return (-2 * first.log()).sqrt() * (2 * math.pi * second).cos()
