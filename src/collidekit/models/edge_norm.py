"""Batch normalisation over all edges of a batch, which come in chunks."""

import torch
from torch import Tensor

from collidekit.dataset.transfer import send
from collidekit.models.constituent_layers import BatchNorm
from collidekit.models.neighbours import Graph
from collidekit.ranks.group import current


class EdgeNorm:
    """One use of a batch normalisation: ``see`` each chunk of edges (E, C), ``settle``, then call it.

    In evaluation, or without edges, it uses the running mean and variance.
    """

    mean: Tensor
    rate: Tensor
    """1 / sqrt(variance + eps)"""
    scale: Tensor
    shift: Tensor
    of_batch: bool
    """True if mean and variance are those of the edges seen."""
    number: Tensor | int
    """Number of edges of all ranks in mean and variance."""

    def __init__(self, module: BatchNorm, dtype: torch.dtype) -> None:
        self.module, self.dtype = module, dtype
        self.seen: list[tuple[int, Tensor, Tensor]] = []

    def see(self, edges: Tensor) -> None:
        """Add the mean and the variance of a chunk (E, C)."""
        if self.module.training:
            mean, variance = torch.batch_norm_update_stats(edges, None, None, 0.0)
            self.seen.append((edges.shape[0], mean, variance))

    def see_sums(self, own: Tensor, other: Tensor, graph: Graph) -> None:
        """Add the mean and variance of own_i + other_j (T, C) over all edges from i to j, computed without the edges."""
        if not self.module.training or not graph.edges:
            return
        leaving, coming = graph.degrees(own)
        means = [(n * x).sum(0, dtype=torch.float64) / graph.edges for n, x in ((leaving, own), (coming, other))]
        own, other = own - means[0].to(own.dtype), other - means[1].to(other.dtype)
        squares = leaving * own.square() + coming * other.square() + 2 * own * graph.neighbour_sums(other)
        variance = squares.sum(0, dtype=torch.float64) / graph.edges
        self.seen.append((graph.edges, means[0] + means[1], variance.clamp(min=0)))

    def settle(self) -> None:
        """Compute mean and variance after the last chunk."""
        self.of_batch = bool(self.seen)
        mean, variance = self._merge() if self.of_batch else self._running()
        rate = torch.rsqrt(variance + self.module.eps)
        scale = self.module.weight.detach().double() * rate
        shift = self.module.bias.detach().double() - mean * scale
        self.mean, self.rate, self.scale, self.shift = (x.to(self.dtype) for x in (mean, rate, scale, shift))

    def _running(self) -> tuple[Tensor, Tensor]:
        mean, variance = self.module.running_mean, self.module.running_var
        assert mean is not None
        assert variance is not None
        return mean.double(), variance.double()

    def _merge(self) -> tuple[Tensor, Tensor]:
        """Return mean and variance of all edges from those of the chunks, and update the running ones."""
        counts, means, variances = zip(*self.seen, strict=True)
        self.seen.clear()
        centres, number = torch.stack(means).double(), sum(counts)
        weights = send(torch.tensor(counts, dtype=torch.float64), centres.device)[:, None] / number
        mean = (weights * centres).sum(0)
        variance = (weights * (torch.stack(variances).double() + (centres - mean).square())).sum(0)
        number, mean, variance = current().moments(number, mean, variance)
        self.number = number
        unbiased = variance * (number / (number - 1))
        for running, new in zip((self.module.running_mean, self.module.running_var), (mean, unbiased), strict=True):
            assert running is not None
            assert self.module.momentum is not None
            running.lerp_(new.to(running.dtype), self.module.momentum)
        assert self.module.num_batches_tracked is not None
        self.module.num_batches_tracked.add_(1)
        return mean, variance

    def __call__(self, values: Tensor) -> Tensor:
        """Return scale * values + shift."""
        return torch.addcmul(self.shift, values, self.scale)

    def of_sums(self, values: Tensor, counts: Tensor) -> Tensor:
        """Return sums of outputs over edges, given sums of the values and numbers of edges (T, C)."""
        return (self.shift * counts).addcmul_(values, self.scale)


class EdgeNormGradient:
    """Backward pass of a batch normalisation: ``see`` the gradient of each chunk, ``settle``, then call it.

    dL/dz = scale * (g - mean(g) - x mean(g x)), where g = dL/dy and x = (z - mean) rate; in evaluation scale * g.
    """

    def __init__(self, norm: EdgeNorm) -> None:
        self.norm = norm
        self.sum = torch.zeros_like(norm.mean, dtype=torch.float64)
        self.product = torch.zeros_like(self.sum)

    def see(self, gradient: Tensor, values: Tensor) -> None:
        """Add chunks of g and z (E, C)."""
        self.see_sums(gradient, gradient * values)

    def see_sums(self, gradient: Tensor, product: Tensor) -> None:
        """Add sums of g and of g z over edges (T, C)."""
        self.sum += gradient.sum(0)
        self.product += product.sum(0)

    def settle(self) -> None:
        """Compute the gradients of weight and bias of the normalisation after the last chunk."""
        norm = self.norm
        rate, mean = norm.rate.double(), norm.mean.double()
        self.weight = rate * (self.product - mean * self.sum)  # sum(g x)
        self.bias = self.sum
        of_all, sum_of_all = (
            current().sum_gradient(self.weight, self.bias) if norm.of_batch else (self.weight, self.bias)
        )
        factor = norm.scale.double() / norm.number if norm.of_batch else torch.zeros_like(self.sum)
        self.slope = (-factor * rate * of_all).to(norm.dtype)
        self.constant = (factor * (mean * rate * of_all - sum_of_all)).to(norm.dtype)

    def __call__(self, gradient: Tensor, values: Tensor) -> Tensor:
        """Return dL/dz (E, C) for chunks of g and z."""
        return torch.addcmul(self.constant, values, self.slope).addcmul_(gradient, self.norm.scale)

    def of_sums(self, gradient: Tensor, values: Tensor, counts: Tensor) -> Tensor:
        """Return sums of dL/dz over edges, given sums of g and z (T, C) and numbers of edges (T, 1)."""
        return (counts * self.constant).addcmul_(values, self.slope).addcmul_(gradient, self.norm.scale)
