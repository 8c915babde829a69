"""A tagger: the scaling of the inputs and the network, one module, so that the scaling travels with the weights."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Input
from collidekit.models.network import Network
from collidekit.models.scaling import Scaling
from collidekit.models.target_heads import TargetHeads


class Tagger(nn.Module):
    """Raw units in, outputs (N, K) out, whose softmax is the probability of each class.

    A network with one output more than there are classes may relegate a row, see ``beside_classes``.

    Where the analysis has targets and the network can learn them, ``target_heads`` gives their logits; else it is None.
    """

    def __init__(self, analysis: Analysis, network: Network) -> None:
        super().__init__()
        self.scaling = Scaling(analysis.inputs)
        self.classes = len(analysis.classes)
        self.network = network
        learns = bool(analysis.targets) and network.constituent_width > 0
        self.target_heads = TargetHeads(analysis.targets, network) if learns else None

    def forward(self, batch: Batch, with_targets: bool = False) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The outputs; ``with_targets`` also the logits of each target, of which there are none without heads."""
        scaled = self._scaled(batch)
        if not with_targets:
            return self.outputs(scaled)
        if self.target_heads is None:
            return self.outputs(scaled), {}
        found = self.network.embed(scaled)
        return beside_classes(found.outputs, self.classes), self.target_heads(found, scaled)

    def _scaled(self, batch: Batch) -> dict[str, Input]:
        scaled: dict[str, Input] = self.scaling(batch.inputs)
        parameter = next(self.network.parameters(), None)
        if parameter is not None:  # the network may work in another precision than the scaling
            scaled = {name: entry.to(parameter.device, parameter.dtype) for name, entry in scaled.items()}
        return scaled

    def outputs(self, scaled: dict[str, Input]) -> Tensor:
        """The network's outputs (N, K) for inputs that are scaled already."""
        return beside_classes(self.network(scaled), self.classes)


def beside_classes(outputs: Tensor, classes: int) -> Tensor:
    """Outputs of a network (N, K) as they are; of one that relegates (N, K + 1) the logarithms of the probabilities of the
    classes, q, and the doubt that is left of them plus softplus(last output).

    The softmax of all K + 1 is the probability of each class and of relegation. A network whose last output is the same for
    all rows refuses those of which it is least sure, which is Chow's rule (IEEE Trans. Inf. Theory 16 (1970) 41), and none
    where that output is far below zero.
    """
    if outputs.shape[1] != classes + 1:
        return outputs
    log_q = torch.log_softmax(outputs[:, :classes], dim=1)
    return torch.cat([log_q, softplus(outputs[:, classes:]) + doubt(log_q)], dim=1)


def doubt(log_q: Tensor) -> Tensor:
    """(N, 1) log of the mean of all q but the largest, from log q of the classes (N, K)."""
    others = log_q.scatter(1, log_q.argmax(dim=1, keepdim=True), -torch.inf)
    return others.logsumexp(dim=1, keepdim=True) - math.log(log_q.shape[1] - 1)
