"""Layers on the constituents of a batch, one after another (T, F): no padding takes part in what they do.

In the padded form of a network they take blocks (N, L, F) too; what they give for empty slots is not used.
"""

import torch
from torch import Tensor, nn

from collidekit.models.layers import whole_blocks


class ConstituentLinear(nn.Linear):
    """A dense layer on each constituent: what a convolution of kernel 1 does, without its padding."""

    def forward(self, values: Tensor) -> Tensor:
        filled, _ = whole_blocks(values, torch.zeros(1, dtype=torch.int64, device=values.device))
        found = super().forward(filled)
        return found if filled is values else found[: len(values)]


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation (T, F), in training by mean and variance of the T values there are.

    A single value has no variance: there, and where there is none, the running mean and variance serve, as for all blocks (N, L, F).
    """

    def forward(self, values: Tensor) -> Tensor:
        if values.dim() > 2:
            scale, shift = scale_and_shift(self)
            return values * scale + shift
        if self.training and len(values) < 2:
            mean, variance = self.running_mean, self.running_var
            return nn.functional.batch_norm(values, mean, variance, self.weight, self.bias, eps=self.eps)
        return super().forward(values)


def scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """What a batch normalisation multiplies by and then adds (F,) in evaluation, formed in double precision."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight.double() * (variance.double() + norm.eps).rsqrt()
    shift = norm.bias.double() - mean.double() * scale
    return scale.to(norm.weight.dtype), shift.to(norm.weight.dtype)
