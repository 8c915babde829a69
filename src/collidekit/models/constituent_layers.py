"""Layers on the constituents (T, F) of a batch, without padding.

In the padded form of a network they also accept blocks (N, L, F); their outputs for empty slots are not used.
"""

import torch
from torch import Tensor, nn

from collidekit.models.layers import whole_blocks
from collidekit.ranks.group import current


class ConstituentLinear(nn.Linear):
    """Dense layer on each constituent, like a convolution with kernel 1 but without padding."""

    def forward(self, values: Tensor) -> Tensor:
        filled, _ = whole_blocks(values, torch.zeros(1, dtype=torch.int64, device=values.device))
        found = super().forward(filled)
        return found if filled is values else found[: len(values)]


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation (T, F), in training with mean and variance of the T values.

    For fewer than two values, and for all blocks (N, L, F), the running mean and variance are used.
    """

    def forward(self, values: Tensor) -> Tensor:
        if values.dim() > 2:
            scale, shift = scale_and_shift(self)
            return values * scale + shift
        if self.training and current().size > 1:
            return self._of_all_ranks(values)
        if self.training and len(values) < 2:
            mean, variance = self.running_mean, self.running_var
            return nn.functional.batch_norm(values, mean, variance, self.weight, self.bias, eps=self.eps)
        return super().forward(values)

    def _of_all_ranks(self, values: Tensor) -> Tensor:
        """Normalise with the mean and variance of the values of all ranks."""
        wide = values.double()
        mean = wide.mean(dim=0) if len(values) else wide.sum(dim=0)
        variance = (wide - mean).square().mean(dim=0) if len(values) else wide.sum(dim=0)
        number, mean, variance = current().moments(len(values), mean, variance)
        assert self.momentum is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            for running, found in zip(
                (self.running_mean, self.running_var), (mean, variance * (number / (number - 1))), strict=True
            ):
                assert running is not None
                running.lerp_(found.to(running), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return ((wide - mean) * scale + self.bias).to(values.dtype)


def own_statistics(network: nn.Module) -> list[str]:
    """Return the names of batch normalisations of a user's network, which use only the values of one rank."""
    kinds = nn.modules.batchnorm._BatchNorm
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, kinds) and not isinstance(module, BatchNorm)
    ]


def scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return scale and shift (F,) of a batch normalisation in evaluation, computed in double precision."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight.double() * (variance.double() + norm.eps).rsqrt()
    shift = norm.bias.double() - mean.double() * scale
    return scale.to(norm.weight.dtype), shift.to(norm.weight.dtype)
