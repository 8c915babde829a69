"""The gradient of a tagger's loss by what moves: in evaluation mode, and of nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.attacks.region import Moves, Region
from collidekit.errors import CollidekitError
from collidekit.models.tagger import Tagger

MANY = 100
"""Of so many rows, one at least is not so sure that its loss has no slope."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""Outputs (N, K), labels (N,) -> the loss of each row (N,), which an attack makes larger."""


def cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """-log P(true class) (N,); where the truth is not known, of the class that is called."""
    labels = torch.where(labels >= 0, labels, outputs.argmax(dim=1))
    return F.cross_entropy(outputs, labels, reduction="none")


@contextmanager
def frozen(tagger: Tagger) -> Iterator[None]:
    """A tagger in evaluation mode whose parameters need no gradient; after it all is as it was."""
    modes = [(module, module.training) for module in tagger.modules()]
    learning = [parameter for parameter in tagger.parameters() if parameter.requires_grad]
    tagger.eval()
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter in learning:
            parameter.requires_grad_(True)


def gradient(tagger: Tagger, region: Region, moves: Moves, loss: Loss = cross_entropy) -> tuple[Tensor, Moves]:
    """The loss of each row (N,), and its derivatives by the moves.

    The sum of all rows is differentiated; in evaluation mode rows know nothing of each other, so each has its own.
    """
    leaves = {name: values.detach().clone().requires_grad_() for name, values in moves.items()}
    losses = loss(tagger(region.make(leaves)), region.batch.labels)
    slopes = of_sum(losses, leaves)
    if len(losses) >= MANY and not any(bool(slope.any()) for slope in slopes.values()):
        raise CollidekitError(
            f"the attack moves {', '.join(slopes)}, and the tagger's answers do not depend on that: one that looks at momenta "
            "only needs attack_space momenta"
        )
    return losses.detach(), slopes


def of_sum(values: Tensor, leaves: Moves, again: bool = False) -> Moves:
    """The derivatives of a sum; where it does not depend on a move, or there is none (NaN), 0."""
    if not values.requires_grad:
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    found = torch.autograd.grad(values.sum(), list(leaves.values()), retain_graph=again, allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if part is None else part.nan_to_num(0.0, 0.0, 0.0)
        for (name, leaf), part in zip(leaves.items(), found, strict=True)
    }
