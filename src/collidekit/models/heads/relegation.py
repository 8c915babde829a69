"""Classes of rows, with one additional output for refused (relegated) rows."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from collidekit.models.heads.classes import ClassesHead


class RelegationHead(ClassesHead):
    """Head of relegation: the columns are ``prob_<class>`` and ``prob_relegated``, which sum to 1.

    The raw numbers are the logarithms of the class probabilities q, and the doubt of q plus softplus(last
    output). The softmax of all K + 1 gives the probabilities of the classes and of relegation. If the last output is the
    same for all rows, the network refuses the least certain rows, which is Chow's rule (IEEE Trans. Inf. Theory 16 (1970) 41).
    If that output is far below zero, it refuses no row.
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
    """Return the log of the mean of all q except the largest (N, 1), from log q of the classes (N, K).

    K is a number, because a graph cannot read a size from a tensor. The maximum is subtracted explicitly: ReduceLogSumExp of
    onnxruntime does not do this, and returns -inf if all these q vanish in single precision.
    """
    others = log_q.scatter(1, log_q.argmax(dim=1, keepdim=True), -torch.inf)
    if not torch.onnx.is_in_onnx_export():
        return others.logsumexp(dim=1, keepdim=True) - math.log(classes - 1)
    top = others.amax(dim=1, keepdim=True)
    return (others - top).exp().sum(dim=1, keepdim=True).log() + top - math.log(classes - 1)
