"""A systematic shift."""

from collidekit.attacks.base import Attack
from collidekit.attacks.gradient import Loss
from collidekit.attacks.region import Moves, Region
from collidekit.models.tagger import Tagger


class Shift(Attack):
    """The same change for all rows: magnitude times the factor of each feature, like a wrong calibration."""

    def moves(self, tagger: Tagger, region: Region, seed: int, loss: Loss) -> Moves:
        return {name: values + self.magnitude for name, values in region.nowhere().items()}
