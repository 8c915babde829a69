"""Classes of rows, and one output more that refuses a row rather than call it wrong."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from collidekit.models.heads.classes import ClassesHead


class RelegationHead(ClassesHead):
    """The columns are ``prob_<class>`` and ``prob_relegated``, which sum to 1.

    Raw are the logarithms of the probabilities of the classes, q, and the doubt that is left of them plus softplus(last
    output). The softmax of all K + 1 is the probability of each class and of relegation. A network whose last output is the
    same for all rows refuses those of which it is least sure, which is Chow's rule (IEEE Trans. Inf. Theory 16 (1970) 41), and
    none where that output is far below zero.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__(classes)
        self.columns = (*self.columns, "prob_relegated")

    @property
    def outputs(self) -> int:
        return len(self.classes) + 1

    def forward(self, outputs: Tensor) -> Tensor:
        classes = len(self.classes)
        log_q = torch.log_softmax(outputs[:, :classes], dim=1)
        return torch.cat([log_q, softplus(outputs[:, classes:]) + doubt(log_q, classes)], dim=1)


def doubt(log_q: Tensor, classes: int) -> Tensor:
    """(N, 1) log of the mean of all q but the largest, from log q of the classes (N, K).

    K is a number, as a graph takes no size out of a tensor. There the largest is taken out of the sum by hand: ReduceLogSumExp of
    onnxruntime does not, and gives -inf where all of these q vanish in single precision.
    """
    others = log_q.scatter(1, log_q.argmax(dim=1, keepdim=True), -torch.inf)
    if not torch.onnx.is_in_onnx_export():
        return others.logsumexp(dim=1, keepdim=True) - math.log(classes - 1)
    top = others.amax(dim=1, keepdim=True)
    return (others - top).exp().sum(dim=1, keepdim=True).log() + top - math.log(classes - 1)
