"""The normalised gradient method."""

from collidekit.attacks.base import Attack
from collidekit.attacks.gradient import Loss, gradient
from collidekit.attacks.region import Moves, Region
from collidekit.models.tagger import Tagger


class NGM(Attack):
    """N steps of e/N along the gradient, normalised to an L2 norm of 1 over all changes of a row."""

    def moves(self, tagger: Tagger, region: Region, seed: int, loss: Loss) -> Moves:
        moves, steps = region.nowhere(), self.settings.attack_iterations
        for _ in range(steps):
            _, slopes = gradient(tagger, region, moves, loss)
            along = region.times(slopes, 1 / region.length(slopes).clamp_min(1e-30))
            moves = {name: values + self.magnitude / steps * along[name] for name, values in moves.items()}
            moves = region.clamp(moves)
        return moves
