"""What the training loop asks of a way of learning."""

from typing import Protocol

from torch import Tensor

from collidekit.dataset.batch import Batch


class Objective(Protocol):
    """Outputs of a network -> a loss to minimise, and probabilities to write down."""

    outputs: int
    """How many outputs the network must have."""

    def loss(self, outputs: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        """The mean loss of a batch; ``weights (N,)`` have mean 1 over the training rows."""

    def probabilities(self, outputs: Tensor) -> Tensor:
        """(N, classes), each row's sum is 1."""
