"""Blocks of the particle transformer (arXiv 2202.03772, figure 3): particle attention and class attention."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

from collidekit.models.packing import Block
from collidekit.models.padded import masked_softmax
from collidekit.models.particle_attention import Heads, attend, attend_padded
from collidekit.models.random_bits import Drop

NOTHING = -1e4
"""Value at which GELU and its derivative are 0, also after adding numbers."""


class TransformerBlock(nn.Module):
    """Base of both blocks (NormFormer, arXiv 2110.09456): x' = x + norm(scaled heads), gain x' + W2 norm(GELU(W1 norm(x')))."""

    def __init__(self, width: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_attended = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.head_scale = nn.Parameter(torch.ones(heads))
        self.norm_feed_forward, self.norm_inner = nn.LayerNorm(width), nn.LayerNorm(expansion * width)
        self.inner, self.outer = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)
        self.residual_scale = nn.Parameter(torch.ones(width))

    def _scaled_mix(self, factor: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return weight and bias of ``mix``, merged with the scale of each head and a factor of the inputs."""
        width = len(self.mix.weight)
        scale = self.head_scale.repeat_interleave(width // self.heads, output_size=width)
        return self.mix.weight * (scale * factor)[:, None], self.mix.bias * scale

    def _add_padded(self, x: Tensor, attended: Tensor) -> Tensor:
        """Return x (..., E) plus the attention output (..., E), after the feed-forward part, without dropout, for exports."""
        size = self.mix.out_features // self.heads
        scale = self.head_scale[:, None].expand(-1, size).reshape(-1)
        x = x + self.norm_attended(self.mix(attended) * scale)
        fed: Tensor = self.outer(self.norm_inner(F.gelu(self.inner(self.norm_feed_forward(x)))))
        return x * self.residual_scale + fed


class ParticleBlock(TransformerBlock):
    """Attention between the particles of a row, with a bias for each pair, and a feed-forward part."""

    def prepare(self, drop: Drop | None) -> "Prepared":
        """Return the merged weights, once per batch."""
        weight, bias = fold(self.norm_attention, self.queries_keys_values)
        width = weight.shape[1]
        factor = weight.new_ones(3, 1)
        factor[0] = (width // self.heads) ** -0.5  # factor of the queries
        factor = factor.repeat_interleave(width, dim=0)
        scale = drop.scale if drop else 1.0
        outer, outer_bias = fold(self.norm_inner, self.outer)
        return Prepared(
            (weight * factor, bias * factor[:, 0]),
            self._scaled_mix(scale),
            (self.norm_attended.weight * scale, self.norm_attended.bias * scale),
            fold(self.norm_feed_forward, self.inner),
            (outer * scale, outer_bias * scale),
        )

    def forward(
        self, x: Tensor, prepared: "Prepared", blocks: Sequence[Heads], biases: Sequence[Tensor], drop: Drop | None
    ) -> Tensor:
        """Return packed rows (T, E) after the block."""
        width = x.shape[1]
        projected = F.linear(normalise(x), *prepared.projection)
        mixed = F.linear(attend(projected, blocks, biases, drop), *prepared.mix)
        x = _add(x, F.layer_norm(mixed, (width,), *prepared.attended, self.norm_attended.eps), drop)
        normal = normalise(x)
        fed: Tensor = _FeedForward.apply(  # type: ignore[no-untyped-call]
            normal, *prepared.inner, *prepared.outer, self.norm_inner.eps, drop
        )
        return _add(x * self.residual_scale, fed, drop)

    def padded(self, x: Tensor, bias: Tensor) -> Tensor:
        """Return (N, L, E) for particles (N, L, E) and a bias (N, heads, L, L) of ``hidden`` for each pair."""
        projected = self.queries_keys_values(self.norm_attention(x))
        return self._add_padded(x, attend_padded(projected, bias, self.heads, self.mix.out_features))


@frozen
class Prepared:
    """Weights and biases of a block, merged with normalisations, head scales and the factor of dropout."""

    projection: tuple[Tensor, Tensor]
    mix: tuple[Tensor, Tensor]
    attended: tuple[Tensor, Tensor]
    inner: tuple[Tensor, Tensor]
    outer: tuple[Tensor, Tensor]


def fold(norm: nn.LayerNorm, dense: nn.Linear) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a dense layer, merged with scale and shift of the normalisation before it."""
    return dense.weight * norm.weight, dense.bias + dense.weight @ norm.bias


def normalise(x: Tensor) -> Tensor:
    """Return the layer normalisation without scale and shift."""
    return F.layer_norm(x, x.shape[1:], _ones(x))


def _ones(x: Tensor) -> Tensor:
    """Return a scale of ones: without a scale, the normalisation of torch takes twice as long on a CPU."""
    return x.new_ones(x.shape[1])


def _add(x: Tensor, y: Tensor, drop: Drop | None) -> Tensor:
    """Return x + dropout(y), where the kept values of y are not scaled."""
    return x + y if drop is None else _AddDropped.apply(x, y, drop)  # type: ignore[no-untyped-call]


class _AddDropped(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, y: Tensor, drop: Drop) -> Tensor:
        keep = drop.keep(y.shape, out=y.new_empty(y.shape))
        context.save_for_backward(keep)
        context.dtype = y.dtype
        return torch.addcmul(x, y, keep)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (keep,) = context.saved_tensors
        (gradient,) = gradients
        return gradient, gradient.to(context.dtype) * keep, None


class _FeedForward(torch.autograd.Function):
    """Feed-forward part W2 norm(dropout(GELU(W1 x + b1))) + b2, in place if possible.

    Dropout is applied before GELU as a large negative number, for which GELU and its derivative are 0. Other values are not
    scaled: the normalisation removes this factor, with an epsilon that is smaller by the factor squared.
    """

    @staticmethod
    def forward(
        context: Any, x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, eps: float, drop: Drop | None
    ) -> Tensor:
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        with torch.autocast(device, enabled=False):
            x, w1, w2 = x.to(dtype), w1.to(dtype), w2.to(dtype)
            before = torch.addmm(b1.to(dtype), x, w1.t())
            if drop:
                before.add_(drop.dropped(before.shape, out=torch.empty_like(before)), alpha=NOTHING)
                eps *= drop.kept**2
            inner = F.gelu(before) if any(context.needs_input_grad) else torch.ops.aten.gelu_(before)
            normal, _, inverse = torch.native_layer_norm(inner, (inner.shape[1],), _ones(inner), None, eps)
            context.save_for_backward(x, before, normal, inverse, w1, w2)
            return torch.addmm(b2.to(dtype), normal, w2.t())

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, before, normal, inverse, w1, w2 = context.saved_tensors
        (gradient,) = gradients
        with torch.autocast(gradient.device.type, enabled=False):
            of_w2, of_b2 = gradient.t() @ normal, gradient.sum(dim=0)
            of_normal = (gradient * inverse) @ w2
            zeros, ones = torch.zeros_like(inverse), torch.ones_like(inverse)
            inner = torch.ops.aten.native_layer_norm_backward(
                of_normal, normal, (normal.shape[1],), zeros, ones, None, None, (True, False, False)
            )[0]
            torch.ops.aten.gelu_backward.grad_input(inner, before, grad_input=inner)
            return inner @ w1, inner.t() @ x, inner.sum(dim=0), of_w2, of_b2, None, None


class ClassBlock(TransformerBlock):
    """Attention of a class token to itself and to the particles of its row (arXiv 2103.17239), and a feed-forward part.

    With one query per row, keys and values are not computed: q (K x) is (K q) x, and the sum over w (V x) is V times the sum of w x.
    """

    def forward(self, token: Tensor, particles: Sequence[tuple[Block, Tensor]]) -> tuple[Tensor, Tensor]:
        """Return tokens, and weights (T,) of the particles, from tokens (M, E) and blocks of normalised particles (n, L, E)."""
        width = token.shape[1]
        size = width // self.heads
        normal = normalise(token)
        to_query, to_key, to_value = self.queries_keys_values.weight.view(3, self.heads, size, width)
        bias_query, _, bias_value = self.queries_keys_values.bias.view(3, self.heads, 1, size)
        query = (token @ to_query.transpose(1, 2) + bias_query) * size**-0.5  # (heads, M, size)
        query = (query @ to_key * self.norm_attention.weight).transpose(0, 1)  # (M, heads, E)
        seen, weights = [], []
        for block, values in particles:
            some, own = query[block.start : block.stop], normal[block.start : block.stop, None]  # (n, 1, E)
            there = (some @ values.transpose(1, 2)).masked_fill(~block.mask[:, None], -torch.inf)  # (n, heads, L)
            weight = torch.cat([some @ own.transpose(1, 2), there], dim=2).softmax(dim=2)
            seen.append(weight[:, :, 1:] @ values + weight[:, :, :1] * own)
            weights.append(block.take(weight[:, :, 1:].mean(dim=1)[..., None]).squeeze(1))
        rows = sum(len(part) for part in seen)
        seen.append(normal[rows:, None].expand(-1, self.heads, -1))  # rows without particles
        summed = torch.cat(seen) * self.norm_attention.weight + self.norm_attention.bias  # (M, heads, E)
        value = summed.transpose(0, 1) @ to_value.transpose(1, 2) + bias_value  # (heads, M, size)
        mixed = F.linear(value.transpose(0, 1).reshape(-1, width), *self._scaled_mix())
        token = token + self.norm_attended(mixed)
        fed = self.outer(self.norm_inner(F.gelu(self.inner(self.norm_feed_forward(token)))))
        return token * self.residual_scale + fed, torch.cat([token.new_zeros(0), *weights])

    def padded(self, token: Tensor, particles: Tensor, mask: Tensor) -> Tensor:
        """Return tokens (N, E) from tokens (N, E), particles (N, L, E) and their mask (N, L)."""
        members = self.norm_attention(torch.cat([token[:, None], particles], dim=1))
        mask = torch.cat([torch.ones_like(token[:, :1]) > 0, mask], dim=1)
        weights, biases = self.queries_keys_values.weight.chunk(3), self.queries_keys_values.bias.chunk(3)
        query = self._apart(F.linear(token[:, None], weights[0], biases[0]))  # (N, heads, 1, size)
        key, value = (self._apart(F.linear(members, weights[k], biases[k])) for k in (1, 2))
        scores = query @ key.transpose(2, 3) * (self.mix.out_features // self.heads) ** -0.5
        seen = masked_softmax(scores, mask[:, None, None], dim=3) @ value
        return self._add_padded(token, seen.transpose(1, 2).reshape(token.shape[0], self.mix.out_features))

    def _apart(self, values: Tensor) -> Tensor:
        """Return (N, heads, L, E / heads) from (N, L, E)."""
        size = self.mix.out_features // self.heads
        return values.view(values.shape[0], values.shape[1], self.heads, size).transpose(1, 2)
