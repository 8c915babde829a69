"""Attention between the constituents of a row with a bias for each pair, on packed rows."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor

from collidekit.dataset.transfer import constant
from collidekit.models.packing import Block
from collidekit.models.random_bits import Drop


@frozen
class Heads:
    """Indices of a block of rows for values that are split into heads: (parts, n, heads, L) vectors of size d.

    ``apart`` has the index in (T, 3, heads) of each vector of queries, keys and values, ``results`` the index in
    (T + 1, heads), where the last row is zeros; ``joined`` and ``three`` are the inverse for one part and for three.
    """

    block: Block
    heads: int
    apart: Tensor
    results: Tensor
    joined: Tensor
    three: Tensor

    @classmethod
    def of(cls, block: Block, heads: int, total: int) -> "Heads":
        """Return the indices for a block of ``total`` packed constituents."""
        device = block.slots.device
        slots = block.mask.numel()
        constituent = torch.full((slots,), total, device=device)
        constituent[block.slots] = torch.arange(block.first, block.last, device=device)
        head = torch.arange(heads, device=device)
        which = constituent.view(-1, 1, block.length)  # (n, 1, L)
        results = which * heads + head[:, None]  # (n, heads, L)
        real = which.clamp(max=total - 1) * 3 * heads + head[:, None]
        apart = real + heads * torch.arange(3, device=device)[:, None, None, None]  # (3, n, heads, L)
        row, place = block.slots // block.length, block.slots % block.length
        joined = (row[:, None] * heads + head) * block.length + place[:, None]  # (T, heads)
        three = joined[:, None] + slots * heads * torch.arange(3, device=device)[:, None]  # (T, 3, heads)
        return cls(block, heads, *(index.int().flatten() for index in (apart, results, joined, three)))

    def split(self, values: Tensor, index: Tensor, dtype: torch.dtype) -> Tensor:
        """Return (parts, n * heads, L, d) from vectors (T, parts * heads * d)."""
        size = values.shape[1] // (self.heads * (3 if index is self.apart else 1))
        apart = values.view(-1, size).index_select(0, index).to(dtype)
        return apart.view(-1, len(self.block.mask) * self.heads, self.block.length, size)

    def join(self, values: Tensor, index: Tensor, into: Tensor) -> None:
        """Write values back into the rows of (T, parts * heads * d) that belong to this block."""
        size = values.shape[-1]
        rows = into[self.block.first : self.block.last].view(-1, size)
        torch.index_select(values.view(-1, size).to(into.dtype), 0, index, out=rows)


def attend(projected: Tensor, blocks: Sequence[Heads], biases: Sequence[Tensor], drop: Drop | None) -> Tensor:
    """Return softmax(q k + bias) v (T, E) from concatenated queries, keys and values (T, 3 E), for each block of rows.

    Each bias is (n, heads, L, L), -inf if there is no key. Values that dropout keeps are not scaled. The computation has
    the precision of the biases.
    """
    return _Attend.apply(projected, blocks, drop, *biases)  # type: ignore[no-any-return, no-untyped-call]


def attend_padded(projected: Tensor, bias: Tensor, heads: int, width: int) -> Tensor:
    """Return ``attend`` (N, L, width) for blocks: queries, keys, values (N, L, 3 width), a bias (N, heads, L, L) of ``hidden``."""
    apart = projected.view(projected.shape[0], projected.shape[1], 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    q, k, v = apart[0], apart[1], apart[2]  # (N, heads, L, width / heads)
    weights = (q @ k.transpose(2, 3) * (width // heads) ** -0.5 + bias).softmax(dim=3)
    found: Tensor = (weights @ v).transpose(1, 2).reshape(projected.shape[0], projected.shape[1], width)
    return found


class _Attend(torch.autograd.Function):
    """Attention with its own gradient: on a CPU the attention of torch is slow with dropout or with derivatives of the bias."""

    @staticmethod
    def forward(context: Any, projected: Tensor, blocks: Sequence[Heads], drop: Drop | None, *biases: Tensor) -> Tensor:
        attended = projected.new_empty(len(projected), projected.shape[1] // 3)
        attended[blocks[-1].block.last :] = 0
        saved: list[Tensor] = []
        with torch.autocast(projected.device.type, enabled=False):
            for block, bias in zip(blocks, biases, strict=True):
                together = block.split(projected, block.apart, bias.dtype)
                q, k, v = together
                scores = torch.baddbmm(bias.view(len(q), *bias.shape[2:]), q, k.transpose(1, 2))
                weights = used = scores.softmax(dim=-1)
                if drop:
                    used = drop.keep(scores.shape, out=scores).mul_(weights)
                results = torch.bmm(used, v)
                saved += [together, weights, used, results]
                block.join(results, block.joined, attended)
        context.save_for_backward(*saved)
        context.blocks = blocks
        return attended

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(context.saved_tensors)
        blocks: Sequence[Heads] = context.blocks
        (incoming,) = gradients
        projected = incoming.new_empty(len(incoming), 3 * incoming.shape[1])
        projected[blocks[-1].block.last :] = 0
        of_biases: list[Tensor] = []
        with torch.autocast(incoming.device.type, enabled=False):
            incoming = F.pad(incoming, (0, 0, 0, 1))
            for block in blocks:
                together, weights, used, results = (next(saved) for _ in range(4))
                q, k, v = together
                (after,) = block.split(incoming, block.results, weights.dtype)
                outgoing = torch.empty_like(together)
                torch.bmm(used.transpose(1, 2), after, out=outgoing[2])
                each = (after * results).sum(dim=2, keepdim=True)  # sum over keys of weights and their derivatives
                of_scores = torch.bmm(after, v.transpose(1, 2)).mul_(used).addcmul_(weights, each, value=-1)
                torch.bmm(of_scores, k, out=outgoing[0])
                torch.bmm(of_scores.transpose(1, 2), q, out=outgoing[1])
                block.join(outgoing, block.three, projected)
                of_biases.append(of_scores.view(-1, block.heads, *of_scores.shape[1:]))
        return projected, None, None, *of_biases


def spread(pairs: Tensor, paired: Tensor, block: Block) -> Tensor:
    """Return (n, heads, L, L) for the rows of a block from values of pairs i <= j (P, heads), row after row.

    The first ``paired (n,)`` constituents of each row form pairs. Other constituents have 0, padding has -inf.
    """
    number, heads = pairs.shape
    length = block.length
    place = torch.arange(length, device=pairs.device)
    low, high = torch.minimum(place[:, None], place), torch.maximum(place[:, None], place)  # (L, L)
    partners = paired[:, None, None]
    first = (paired * (paired + 1) // 2).cumsum(0)[:, None, None] - partners * (partners + 1) // 2
    index = first + low * partners + (high - low * (low + 1) // 2)
    index = index.where(high < partners, number)
    absent = ~block.mask[:, None, :] & block.mask[:, :, None]  # pairs of a constituent and padding
    index = index.where(~absent, number + 1)
    ends = constant((0.0, -torch.inf), pairs)[:, None].expand(2, heads)
    values = torch.cat([pairs, ends]).index_select(0, index.view(-1))
    return values.view(-1, length, length, heads).permute(0, 3, 1, 2).contiguous()
