"""Layers on the constituents of a batch, one after another (T, F): no padding takes part in what they do."""

import torch
from torch import Tensor, nn

from collidekit.models.layers import whole_blocks


class ConstituentLinear(nn.Linear):
    """A dense layer on each constituent: what a convolution of kernel 1 does, without its padding."""

    def forward(self, values: Tensor) -> Tensor:
        filled, _ = whole_blocks(values, torch.zeros(1, dtype=torch.int64, device=values.device))
        return super().forward(filled)[: len(values)]


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation (T, F), in training by mean and variance of the T values there are.

    A single value has no variance: there, and where there is none, the running mean and variance serve.
    """

    def forward(self, values: Tensor) -> Tensor:
        if self.training and len(values) < 2:
            mean, variance = self.running_mean, self.running_var
            return nn.functional.batch_norm(values, mean, variance, self.weight, self.bias, eps=self.eps)
        return super().forward(values)
