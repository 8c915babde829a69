"""Cross-attention between two sets of constituents, in both directions.

In dileptonic top pairs each lepton attends to the jets, to find the jet of its own top, and each jet to the leptons. Embeddings,
registers and pooling are the same as in ``transformer``.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from collidekit.analysis.schema import Collection
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.network import Inputs
from collidekit.models.packing import Block as Rows
from collidekit.models.packing import Packing
from collidekit.models.padded import Padded
from collidekit.models.sets import Sets
from collidekit.models.transformer import FeedForward, SetTransformer, attend, attend_padded


class CrossBlock(nn.Module):
    """Attention within each side if ``within`` is true, attention to the other side, and a feed-forward layer.

    Each layer acts on the normalised input and is added to the input. Each side has its own queries, keys and values.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        feed_forward: int,
        norm: Callable[[int], nn.Module],
        gated: bool,
        activation: type[nn.Module],
        dropout: float,
        within: bool,
    ) -> None:
        super().__init__()
        self.heads, self.within = heads, within
        self.norm_across, self.norm_feed_forward = norm(width), norm(width)
        self.asking, self.answering = _projection(width), _projection(width)
        self.mix = nn.Linear(width, width)
        if within:
            self.norm_within, self.own, self.mix_within = norm(width), _projection(width), nn.Linear(width, width)
        self.feed_forward = FeedForward(width, feed_forward, gated, activation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, packing: Packing, asks: Tensor, across: list[Tensor], within: list[Tensor]) -> Tensor:
        if self.within:
            projected = self.own(self.norm_within(x))
            x = x + self.dropout(self.mix_within(attend(projected, packing, self.heads, within)))
        normed = self.norm_across(x)
        projected = torch.where(asks, self.asking(normed), self.answering(normed))
        x = x + self.dropout(self.mix(attend(projected, packing, self.heads, across)))
        return x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))  # type: ignore[no-any-return]

    def padded(self, x: Tensor, asks: Tensor, across: Tensor, within: Tensor) -> Tensor:
        """Return members (N, L, width); ``asks (N, L, 1)`` marks the query side, ``across`` and ``within (N, L, L)`` are masks."""
        width = self.mix.out_features
        if self.within:
            x = x + self.mix_within(attend_padded(self.own(self.norm_within(x)), within, self.heads, width))
        normed = self.norm_across(x)
        projected = torch.where(asks, self.asking(normed), self.answering(normed))
        x = x + self.mix(attend_padded(projected, across, self.heads, width))
        found: Tensor = x + self.feed_forward(self.norm_feed_forward(x))
        return found


class CrossAttention(SetTransformer):
    """Network with cross-attention between the constituents of the ``query`` collections and those of all other collections.

    ``query`` is one collection or several; by default the one with the smallest limit, and of equal limits the first in the analysis
    file. Each side has its own learned ``registers``, so that no side is empty; with one collection, only registers form the
    query side. With ``self_attention``, each side first attends to itself.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        query: str | Sequence[str] = (),
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        feed_forward: int = 128,
        latent: int = 64,
        head: Sequence[int] = (64, 32),
        registers: int = 2,
        self_attention: bool = True,
        norm: Literal["RMSNorm", "LayerNorm"] = "RMSNorm",
        gated: bool = True,
        activation: str = "silu",
        dropout: float = 0.1,
    ) -> None:
        self.block = partial(CrossBlock, within=self_attention)
        super().__init__(
            inputs, outputs, width, layers, heads, feed_forward, latent, head, 2 * registers, norm, gated, activation, dropout
        )  # fmt: skip
        self.each = registers  # registers of each side
        self.query = _query([query] if isinstance(query, str) else list(query), inputs)

    def _encode(self, whole: Tensor, sets: Sets) -> Tensor:
        asks = torch.zeros(len(whole), dtype=torch.bool, device=whole.device)
        for name in self.query:
            asks[sets.places[name]] = True
        registers = sets.places[""].view(-1, len(self.registers))
        asks[registers[:, ::2].flatten()] = True
        looks = [_looks(rows, asks) for rows in sets.packing.blocks]
        across, within = [one for one, _ in looks], [other for _, other in looks]
        for block in self.blocks:
            whole = block(whole, sets.packing, asks[:, None], across, within)
        return whole

    def _encode_padded(self, x: Tensor, mask: Tensor, entries: dict[str, Padded]) -> Tensor:
        sides = [torch.full_like(entry.there[..., 0], float(name in self.query)) for name, entry in entries.items()]
        asking = torch.ones_like(x[:, :1, 0])
        sides.append(torch.cat([asking, torch.zeros_like(asking)] * self.each, dim=1))
        side = torch.cat(sides, dim=1)  # (N, L)
        same, there = side[:, :, None] == side[:, None], mask[:, None]
        for block in self.blocks:
            x = block.padded(x, side[..., None] > 0, there & ~same, there & same)  # type: ignore[operator]
        return x


def _projection(width: int) -> nn.Linear:
    """Return the layer of queries, keys and values, initialised as in ``transformer``."""
    layer = nn.Linear(width, 3 * width)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _query(names: list[str], inputs: Inputs) -> list[str]:
    """Return the collections of the query side."""
    limits = {name: entry.limit for name, entry in inputs.items() if isinstance(entry, Collection)}
    for name in names:
        if name not in limits:
            raise CollidekitError(f"query: there is no collection {name!r}{did_you_mean(name, list(limits))}")
    if names and limits.keys() <= set(names):
        raise CollidekitError(
            f"query: {', '.join(names)} are all collections, so the other side would be empty; leave one out"
        )
    return names or ([min(limits, key=lambda name: limits[name])] if len(limits) > 1 else [])


def _looks(rows: Rows, asks: Tensor) -> tuple[Tensor, Tensor]:
    """Return masks (n, L, L) of the attention across the sides and within them, for the rows of a block.

    Padding attends to all members, so that no softmax is empty.
    """
    side = rows.fill(asks[:, None].to(torch.uint8))[..., 0]
    same = side[:, :, None] == side[:, None, :]
    there, padding = rows.mask[:, None, :], ~rows.mask[:, :, None]
    return there & (~same | padding), there & (same | padding)
