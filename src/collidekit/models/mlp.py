"""A multilayer perceptron on flat groups of features."""

from collections.abc import Sequence

import torch
from torch import Tensor

from collidekit.dataset.batch import Input
from collidekit.errors import CollidekitError
from collidekit.models.layers import mlp
from collidekit.models.network import Inputs, Network


class MLP(Network):
    """Dense layers on all flat groups side by side; collections are not looked at."""

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        hidden: Sequence[int] = (100, 100, 100),
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(inputs, outputs)
        if not self.groups:
            raise CollidekitError("the analysis has no flat group of inputs; add one, or take pfn")
        width = sum(len(inputs[name].features) for name in self.groups)
        self.hidden = mlp([width, *hidden], activation, dropout)
        self.output = mlp([hidden[-1] if hidden else width, outputs], last=False)

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        flat = torch.cat([inputs[name] for name in self.groups], dim=1)  # type: ignore[misc]  # (N, F)
        return self.output(self.hidden(flat))  # type: ignore[no-any-return]  # (N, K)
