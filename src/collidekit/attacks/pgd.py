"""Projected gradient descent on the negative loss."""

from collections.abc import Callable

import torch
from torch import Tensor

from collidekit.attacks.base import Attack
from collidekit.attacks.gradient import Loss, gradient
from collidekit.attacks.region import Moves, Region
from collidekit.models.tagger import Tagger

REACH = 2.5
"""Length of all steps together after a random start, in magnitudes, so that every point can be reached (Madry, appendix)."""


class PGD(Attack):
    """Steps along the sign of the gradient (L-infinity) or along the gradient (L2), each projected back to the magnitude.

    Madry et al., arXiv 1706.06083, eq. 2.1 and section 5. Without a random start each of N steps is magnitude / N long,
    so that one step is FGSM. With several starts, each row keeps the one with the largest loss.
    """

    def moves(self, tagger: Tagger, region: Region, seed: int, loss: Loss) -> Moves:
        starts = self.settings.attack_starts
        if not starts:
            return self._climb(tagger, region, region.nowhere(), loss, 1.0)
        best, largest = (
            region.nowhere(),
            torch.full((len(region.batch),), -torch.inf, device=region.batch.labels.device),
        )
        for number in range(starts):
            start = self._start(region, seed * 1_000_003 + 101 * number)
            moves = self._climb(tagger, region, start, loss, REACH)
            if starts == 1:
                return moves
            with torch.no_grad():
                found = loss(tagger(region.make(moves)), region.batch.labels)
            better = found > largest
            largest = torch.where(better, found, largest)
            best = _where(better, moves, best, region.rows)
        return best

    def _start(self, region: Region, seed: int) -> Moves:
        """Return a random point of the allowed region: a uniform change of each number, projected to the magnitude."""
        magnitude, norm = self.magnitude, self.settings.attack_norm
        moves = {name: 2 * values - 1 for name, values in region.random(seed).items()}
        moves = region.clamp({name: magnitude * values for name, values in moves.items()})
        return region.project(moves, magnitude, norm)

    def _climb(self, tagger: Tagger, region: Region, moves: Moves, loss: Loss, reach: float) -> Moves:
        steps, norm = self.settings.attack_iterations, self.settings.attack_norm
        size = reach * self.magnitude / steps
        for _ in range(steps):
            _, slopes = gradient(tagger, region, moves, loss)
            if norm == "linf":
                along = {name: slope.sign() for name, slope in slopes.items()}
            else:
                along = region.times(slopes, 1 / region.length(slopes).clamp_min(1e-30))
            moves = {name: values + size * along[name] for name, values in moves.items()}
            moves = region.project(moves, self.magnitude, norm)
        return moves


def _where(rows: Tensor, a: Moves, b: Moves, row_of: Callable[[str], Tensor]) -> Moves:
    """Return the changes of ``a`` for the selected rows (N,), and those of ``b`` for the other rows."""
    return {name: torch.where(rows[row_of(name), None], a[name], b[name]) for name in a}
