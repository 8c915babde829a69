"""Pair features -> bias of each attention head for a pair: layers on all pairs of a batch, in chunks."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

from collidekit.dataset.transfer import send
from collidekit.models.constituent_layers import BatchNorm
from collidekit.models.padded import flat_linear
from collidekit.models.workspace import Workspace
from collidekit.ranks.group import current

WORKSPACE = Workspace()
"""Memory for the kept numbers of all pairs."""
CHUNK = 1 << 12
"""Number of pairs that are computed at a time: with 64 channels a megabyte, which fits into the cache of the processor."""


class PairEmbedding(nn.Module):
    """Batch normalisation, then dense layers with batch normalisation and GELU (arXiv 2202.03772, section 4).

    The statistics use all real pairs i <= j of the batch once.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.norm = BatchNorm(sizes[0])
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(BatchNorm(size) for size in sizes[1:])

    def _parts(self) -> list[tuple[nn.Linear, nn.BatchNorm1d]]:
        return list(zip(self.dense, self.norms, strict=True))  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """Return biases (P, heads) from features (P, F)."""
        if self.training and len(features) > 1:
            if features.requires_grad:
                return self._plain(features)
            return self._train(features)
        return self._evaluate(features)

    def padded(self, features: Tensor) -> Tensor:
        """Return biases (N, heads, L, L) from features (N, L, L, F), with running means and variances."""
        for weight, bias in self._folded():
            features = F.gelu(flat_linear(features, weight, bias))
        return features.permute(0, 3, 1, 2)

    def _plain(self, features: Tensor) -> Tensor:
        """Return biases with derivatives with respect to the features."""
        values: Tensor = self.norm(features)
        for dense, norm in self._parts():
            values = F.gelu(norm(dense(values)))
        return values

    def _evaluate(self, features: Tensor) -> Tensor:
        """Return biases in evaluation, with the normalisations merged into the layers."""
        dtype, layers = _working_type(features), self._folded()
        results = [
            _chain(features[a:b].to(dtype), layers, dtype) for a, b in _chunks(features, dtype == torch.bfloat16)
        ]
        return torch.cat(results) if results else features.new_zeros(0, layers[-1][0].shape[0])

    def _folded(self) -> list[tuple[Tensor, Tensor]]:
        """Return weight and bias of each layer, merged with the normalisations before the first and after each layer."""
        gain, shift = _gain_and_shift(self.norm)
        layers = []
        for dense, norm in self._parts():
            factor, offset = _gain_and_shift(norm)
            bias = (dense.bias + dense.weight @ shift) * factor + offset
            layers.append((dense.weight * gain * factor[:, None], bias))
            gain, shift = torch.ones_like(factor), torch.zeros_like(factor)
        return layers

    def _train(self, features: Tensor) -> Tensor:
        first = self._first_layer(features)
        rest = [
            part for dense, norm in self._parts()[1:] for part in (dense.weight, dense.bias, norm.weight, norm.bias)
        ]
        statistics: list[_Statistics] = []
        dtype = _working_type(features)
        with torch.autocast(features.device.type, enabled=False):
            eps = [norm.eps for _, norm in self._parts()[1:]]
            embedded: Tensor = _Layers.apply(features, dtype, eps, statistics, *first, *rest)  # type: ignore[no-untyped-call]
        for found, (dense, norm) in zip(statistics, self._parts()[1:], strict=True):
            _remember(norm, found.mean + dense.bias.detach(), found.variance, found.number)
        return embedded

    def _first_layer(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the first layer, merged with the normalisations before and after it.

        The statistics of its outputs follow from the covariance C of the features: the variance of w x is w C w.
        """
        precise = features.double() if features.device.type != "mps" else features
        mean = precise.mean(dim=0)
        away = precise - mean
        covariance = away.T @ away / len(features)
        number, mean, covariance = _of_all_ranks(len(features), mean, covariance)
        _remember(self.norm, mean, covariance.diagonal(), number)
        dense, norm = self._parts()[0]
        factor = self.norm.weight * (covariance.diagonal() + self.norm.eps).rsqrt()
        weight = dense.weight * factor  # on features - mean
        variance = ((weight @ covariance) * weight).sum(dim=1)
        middle = dense.bias + dense.weight @ self.norm.bias
        _remember(norm, middle.detach(), variance.detach(), number)
        gain = norm.weight * (variance + norm.eps).rsqrt()
        folded = gain[:, None] * weight
        shift = norm.bias - gain * middle
        bias = gain * middle + shift - folded @ mean
        return folded.to(self.norm.weight.dtype), bias.to(self.norm.weight.dtype)


def _chunks(values: Tensor, halve: bool = False) -> Iterator[tuple[int, int]]:
    """Yield parts of ``CHUNK`` on a CPU; in bfloat16 the rest in powers of two, because oneDNN compiles a kernel per size."""
    start, number = 0, len(values)
    size = CHUNK if values.device.type == "cpu" else max(number, 1)
    while start < number:
        while halve and start + size > number:
            size //= 2
        yield start, min(start + size, number)
        start += size


def _working_type(features: Tensor) -> torch.dtype:
    device = features.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else features.dtype


def _gain_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return gain and shift of a normalisation in evaluation."""
    mean, variance = _running(norm)
    gain = norm.weight * (variance + norm.eps).rsqrt()
    return gain, norm.bias - mean * gain


def _running(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


def _of_all_ranks(number: int, mean: Tensor, covariance: Tensor) -> tuple[Tensor | int, Tensor, Tensor]:
    """Return number, mean (F,) and covariance (F, F) of the features of all ranks."""
    if current().size == 1:
        return number, mean, covariance
    second = covariance + torch.outer(mean, mean)
    total, found, _ = current().moments(
        number, torch.cat([mean, second.flatten()]), torch.zeros(len(mean) * (len(mean) + 1)).to(mean)
    )
    mean, second = found[: len(mean)], found[len(mean) :].view_as(second)
    return total, mean, second - torch.outer(mean, mean)


def _remember(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, number: Tensor | int) -> None:
    """Update the running statistics as ``BatchNorm1d`` does."""
    assert norm.momentum is not None
    assert norm.num_batches_tracked is not None
    with torch.no_grad():
        norm.num_batches_tracked += 1
        for running, found in zip(_running(norm), (mean, variance * (number / (number - 1))), strict=True):
            running.lerp_(found.to(running), norm.momentum)


def _chain(values: Tensor, layers: list[tuple[Tensor, Tensor]], dtype: torch.dtype) -> Tensor:
    for weight, bias in layers:
        values = _gelu(F.linear(values, weight.to(dtype), bias.to(dtype)))
    return values


@frozen
class _Statistics:
    """Mean and variance of the outputs z of a layer without bias, and the gain and shift of their normalisation."""

    mean: Tensor
    variance: Tensor
    deviation: Tensor
    gain: Tensor
    shift: Tensor
    number: Tensor | int
    """Number of pairs of all ranks."""

    @classmethod
    def of(cls, parts: Sequence[tuple[Tensor, Tensor]], sizes: Sequence[int], norm: Sequence[Tensor]) -> "_Statistics":
        """Combine means and variances of chunks of the given sizes in double precision."""
        means, variances = (torch.stack(found).double() for found in zip(*parts, strict=True))
        share = send(torch.tensor(sizes, dtype=means.dtype), means.device)[:, None] / sum(sizes)
        mean = (share * means).sum(dim=0)
        variance = (share * (variances + (means - mean).square())).sum(dim=0)
        number, mean, variance = current().moments(sum(sizes), mean, variance)
        weight, bias, eps = norm
        deviation = (variance + eps).sqrt()
        gain = weight / deviation
        return cls(mean, variance, deviation, gain, bias - mean * gain, number)


class _Layers(torch.autograd.Function):
    """GELU(w f + b), then layers GELU(norm(W x)), over pairs in chunks.

    Only the outputs z of the dense layers are kept for the derivatives: normalisation and GELU are computed again.
    """

    @staticmethod
    def forward(
        context: Any, features: Tensor, dtype: torch.dtype, eps: list[float], statistics: list[_Statistics],
        weight: Tensor, bias: Tensor, *rest: Tensor,
    ) -> Tensor:  # fmt: skip
        values, gain, shift = features.to(dtype), weight.to(dtype), bias.to(dtype)
        chunks = list(_chunks(features, dtype == torch.bfloat16))
        sizes = [b - a for a, b in chunks]
        kept, places = [values], []
        for (dense, _, *norm), small in zip(_layers(rest), eps, strict=True):
            places.append(WORKSPACE.take(len(features), len(dense), dtype, values.device))
            outputs, parts = places[-1][: len(features)], []
            transposed = dense.to(dtype).t()
            for a, b in chunks:
                z = torch.mm(_gelu(_affine(values[a:b], gain, shift)), transposed, out=outputs[a:b])
                parts.append(_mean_and_variance(z))
            statistics.append(_Statistics.of(parts, sizes, (*norm, torch.tensor(small))))
            values, gain, shift = outputs, statistics[-1].gain.to(dtype), statistics[-1].shift.to(dtype)
            kept.append(values)
        result = values.new_empty(values.shape)
        for a, b in chunks:
            torch.ops.aten.gelu.out(_affine(values[a:b], gain, shift), out=result[a:b])
        context.save_for_backward(weight, bias, *rest, *kept)
        context.statistics, context.chunks, context.places = statistics, chunks, places
        return result

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        count = len(context.statistics)
        (weight, bias, *rest), kept = context.saved_tensors[: -count - 1], context.saved_tensors[-count - 1 :]
        dtype = kept[0].dtype
        first = _First(kept[0], weight.to(dtype), bias.to(dtype))
        steps = [first, *(_Step(z, one) for z, one in zip(kept[1:], context.statistics, strict=True))]
        for a, b in context.chunks:
            steps[-1].take(a, b, gradients[0][a:b].to(dtype), steps[-1].before(a, b))
        found: list[Tensor] = []
        for k, (dense, unused, _, _) in reversed(list(enumerate(_layers(rest)))):
            step, below = steps.pop(), steps[k]
            assert isinstance(step, _Step)
            make = step.through_the_norm()
            lower, dense_gradient = dense.to(dtype), torch.zeros_like(dense)
            for a, b in context.chunks:
                before, dz = below.before(a, b), make(a, b)
                _add_product(dense_gradient, dz.t(), F.gelu(before))
                below.take(a, b, dz @ lower, before)
            found = [dense_gradient, torch.zeros_like(unused), *(sums.to(dense) for sums in step.sums()), *found]
            WORKSPACE.give(step.place)
        while context.places:
            WORKSPACE.give(context.places.pop())
        return None, None, None, None, first.weight_gradient.to(weight), first.bias_gradient.to(bias), *found


class _First:
    """Backward pass of the first layer, GELU(w f + b): the derivatives before GELU are summed."""

    def __init__(self, values: Tensor, weight: Tensor, bias: Tensor) -> None:
        self.values, self.gain, self.shift = values, weight, bias
        precise = torch.promote_types(weight.dtype, torch.float32)
        self.weight_gradient, self.bias_gradient = weight.to(precise) * 0, bias.to(precise) * 0

    def before(self, a: int, b: int) -> Tensor:
        """Return the values of pairs a to b before GELU."""
        return _affine(self.values[a:b], self.gain, self.shift)

    def take(self, a: int, b: int, gradient: Tensor, before: Tensor) -> None:
        """Add the derivatives of pairs a to b after GELU; ``before`` are the values before GELU, which may be overwritten."""
        inner = torch.ops.aten.gelu_backward.grad_input(gradient, before, grad_input=before)
        _add_product(self.weight_gradient, inner.t(), self.values[a:b])
        self.bias_gradient += inner.sum(dim=0, dtype=self.bias_gradient.dtype)


class _Step(_First):
    """Backward pass of a normalisation and GELU: the derivatives before GELU are kept, because their sums are needed first."""

    def __init__(self, values: Tensor, statistics: _Statistics) -> None:
        super().__init__(values, statistics.gain.to(values.dtype), statistics.shift.to(values.dtype))
        precise = torch.promote_types(values.dtype, torch.float32)
        self.statistics = statistics
        self.mean, self.inverse = statistics.mean.to(precise), statistics.deviation.reciprocal().to(precise)
        number, width = values.shape
        self.place = WORKSPACE.take(number, width, values.dtype, values.device)
        self.gradient = self.place[:number]
        self.parts: list[tuple[Tensor, Tensor]] = []

    def take(self, a: int, b: int, gradient: Tensor, before: Tensor) -> None:
        inner = torch.ops.aten.gelu_backward.grad_input(gradient, before, grad_input=self.gradient[a:b])
        self.parts.append(_sums(inner, self.values[a:b], self.mean, self.inverse))

    def sums(self) -> tuple[Tensor, Tensor]:
        """Return the derivatives with respect to weight and bias of the normalisation."""
        of_gain, of_shift = (torch.stack(found).double().sum(dim=0) for found in zip(*self.parts, strict=True))
        return of_gain, of_shift

    def through_the_norm(self) -> Callable[[int, int], Tensor]:
        """Return the derivatives with respect to z: gain (d - sum(d) / P - n sum(d n) / P) with n = (z - mean) / deviation."""
        one, number, dtype = self.statistics, self.statistics.number, self.values.dtype
        of_gain, of_shift = current().sum_gradient(*self.sums())
        of_values = -one.gain * of_gain / (number * one.deviation)
        constant = (-one.gain * of_shift / number - of_values * one.mean).to(dtype)
        of_values, gain = of_values.to(dtype), self.gain

        def make(a: int, b: int) -> Tensor:
            return torch.addcmul(constant, self.values[a:b], of_values).addcmul_(self.gradient[a:b], gain)

        return make


def _mean_and_variance(z: Tensor) -> tuple[Tensor, Tensor]:
    precise = z.to(torch.promote_types(z.dtype, torch.float32))
    mean, variance = torch.batch_norm_update_stats(precise, None, None, 0.0)
    return mean, variance


def _sums(gradient: Tensor, z: Tensor, mean: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """Return sums over pairs of gradient * (z - mean) * inverse and of the gradient, in one pass."""
    gradient, z = gradient.to(mean.dtype), z.to(mean.dtype)
    _, of_gain, of_shift = torch.ops.aten.native_batch_norm_backward(
        gradient, z, None, None, None, mean, inverse, True, 0.0, (False, True, True)
    )
    return of_gain, of_shift


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right to ``total``, which may have a higher precision."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _layers(rest: Sequence[Tensor]) -> Iterator[Sequence[Tensor]]:
    """Yield weight and bias of each dense layer and of its normalisation."""
    return (rest[k : k + 4] for k in range(0, len(rest), 4))


def _gelu(values: Tensor) -> Tensor:
    """Return GELU of values, in place if the values are not needed."""
    return F.gelu(values) if values.requires_grad else torch.ops.aten.gelu_(values)


def _affine(values: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    if gain.dim() == 2:
        return torch.addmm(shift, values, gain.t())
    return torch.addcmul(shift, values, gain)
