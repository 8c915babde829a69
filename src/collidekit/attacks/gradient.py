"""Gradient of the loss of a tagger with respect to the changes of an attack, in evaluation mode."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.attacks.region import Moves, Region
from collidekit.errors import CollidekitError
from collidekit.models.tagger import Tagger

MANY = 100
"""Number of rows above which at least one loss is expected to have a nonzero gradient."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""Outputs (N, K), labels (N,) -> loss of each row (N,), which an attack increases."""


def cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return -log P(true class) (N,); for rows of unknown class, -log P(predicted class)."""
    labels = torch.where(labels >= 0, labels, outputs.argmax(dim=1))
    return F.cross_entropy(outputs, labels, reduction="none")


@contextmanager
def frozen(tagger: Tagger) -> Iterator[None]:
    """Put a tagger into evaluation mode, without gradients of its parameters, and restore its state afterwards."""
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
    """Return the loss of each row (N,), and its derivatives with respect to the changes.

    The sum over rows is differentiated: in evaluation mode rows are independent, so each row gets its own derivatives.
    """
    leaves = {name: values.detach().clone().requires_grad_() for name, values in moves.items()}
    losses = loss(tagger(region.make(leaves)), region.batch.labels)
    slopes = of_sum(losses, leaves)
    if len(losses) >= MANY and not any(bool(slope.any()) for slope in slopes.values()):
        raise CollidekitError(
            f"the attack changes {', '.join(slopes)}, but the outputs of the tagger do not depend on it; use attack_space momenta "
            "for a network that uses momenta only"
        )
    return losses.detach(), slopes


def of_sum(values: Tensor, leaves: Moves, again: bool = False) -> Moves:
    """Return the derivatives of the sum of values; 0 if they do not depend on a change, or if the derivative is NaN."""
    if not values.requires_grad:
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    found = torch.autograd.grad(values.sum(), list(leaves.values()), retain_graph=again, allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if part is None else part.nan_to_num(0.0, 0.0, 0.0)
        for (name, leaf), part in zip(leaves.items(), found, strict=True)
    }
