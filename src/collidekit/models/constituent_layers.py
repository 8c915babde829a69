"""Layers on the constituents of a batch, one after another (T, F): no padding takes part in what they do.

In the padded form of a network they take blocks (N, L, F) too; what they give for empty slots is not used.
"""

import torch
from torch import Tensor, nn

from collidekit.models.layers import whole_blocks
from collidekit.ranks.group import current


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
        if self.training and current().size > 1:
            return self._of_all_ranks(values)
        if self.training and len(values) < 2:
            mean, variance = self.running_mean, self.running_var
            return nn.functional.batch_norm(values, mean, variance, self.weight, self.bias, eps=self.eps)
        return super().forward(values)

    def _of_all_ranks(self, values: Tensor) -> Tensor:
        """Normalise by the mean and variance of the values of all ranks."""
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
    """Return the names of the batch normalisations that do not use the values of all ranks: those of a user's network."""
    kinds = nn.modules.batchnorm._BatchNorm
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, kinds) and not isinstance(module, BatchNorm)
    ]


def scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """What a batch normalisation multiplies by and then adds (F,) in evaluation, formed in double precision."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight.double() * (variance.double() + norm.eps).rsqrt()
    shift = norm.bias.double() - mean.double() * scale
    return scale.to(norm.weight.dtype), shift.to(norm.weight.dtype)
