"""DeepFool, for each input separately."""

import torch
from torch import Tensor

from collidekit.attacks.base import Attack
from collidekit.attacks.gradient import Loss, of_sum
from collidekit.attacks.region import Moves, Region
from collidekit.models.tagger import Tagger

BEYOND = 1e-4
"""Added to the distance from the boundary in the logit, so that a row on the boundary moves, too."""


class JetFool(Attack):
    """Smallest change that crosses the boundary to another class, in a linear approximation that is computed again in each step.

    DeepFool: Moosavi-Dezfooli, Fawzi, Frossard, arXiv 1511.04599, algorithm 2. The step of each input (collection or group) is
    the one that would cross the boundary alone, divided by the number of inputs; together they cross it. A row
    stops when its predicted class changes. The overshoot lengthens each step; a magnitude above 0 limits the changes.
    """

    needs_magnitude = False

    def moves(self, tagger: Tagger, region: Region, seed: int, loss: Loss) -> Moves:
        moves, called = region.nowhere(), None
        for _ in range(self.settings.attack_iterations):
            leaves = {name: values.detach().clone().requires_grad_() for name, values in moves.items()}
            outputs = tagger(region.make(leaves))
            called = outputs.detach().argmax(dim=1) if called is None else called
            going = outputs.detach().argmax(dim=1) == called
            if not going.any():
                break
            step = self._step(region, outputs, leaves, called)
            step = region.times(step, going.to(outputs) * (1 + self.settings.attack_overshoot))
            moves = region.clamp({name: values + step[name] for name, values in moves.items()})
        if self.magnitude > 0:
            moves = region.project(moves, self.magnitude)
        return moves

    def _step(self, region: Region, outputs: Tensor, leaves: Moves, called: Tensor) -> Moves:
        """Return the step of each input to its nearest class, along its own gradient."""
        ahead = outputs.gather(1, called[:, None]) - outputs  # (N, K), 0 for the predicted class
        nearest = {name: torch.full((len(outputs),), torch.inf, device=outputs.device) for name in leaves}
        step = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
        for k in range(outputs.shape[1]):
            slopes = of_sum(ahead[:, k], leaves, again=True)
            distance = ahead[:, k].detach().abs() + BEYOND
            for name, slope in slopes.items():
                square = region.squares({name: slope})
                far = torch.where((square > 1e-20) & (called != k), distance / square.sqrt(), torch.inf)
                closer = far < nearest[name]
                nearest[name] = torch.where(closer, far, nearest[name])
                way = region.times({name: -slope}, distance / square.clamp_min(1e-20) / len(leaves))[name]
                step[name] = torch.where(closer[region.rows(name), None], way, step[name])
        return step
