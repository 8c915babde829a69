"""The fast gradient sign method."""

from collidekit.attacks.base import Attack
from collidekit.attacks.gradient import Loss, gradient
from collidekit.attacks.region import Moves, Region
from collidekit.models.tagger import Tagger


class FGSM(Attack):
    """Fast gradient sign method: x + e sign(dL/dx) (Goodfellow, Shlens, Szegedy, arXiv 1412.6572, last equation of section 4)."""

    def moves(self, tagger: Tagger, region: Region, seed: int, loss: Loss) -> Moves:
        _, slopes = gradient(tagger, region, region.nowhere(), loss)
        return {name: self.magnitude * slope.sign() for name, slope in slopes.items()}
