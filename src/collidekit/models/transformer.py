"""Transformer of all constituents of a row, after GN2 of ATLAS (arXiv 2505.19689; sizes of its configuration in salt).

Blocks are x + attention(norm(x)), then x + feed_forward(norm(x)), with newer parts: RMSNorm (arXiv
1910.07467), gated feed-forward layers (arXiv 2002.05202) and registers (arXiv 2309.16588). GN2 itself is
``norm="LayerNorm", gated=False, activation="relu", registers=1``.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from collidekit.dataset.batch import Input, Ragged
from collidekit.dataset.transfer import send
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.layers import ACTIVATIONS, mlp, segment_sum, whole_blocks
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Embedding, Inputs, Network
from collidekit.models.packing import Packing
from collidekit.models.padded import Padded, PaddedInput, apart, masked_softmax, side_by_side
from collidekit.models.sets import Sets

NORMS: dict[str, Callable[[int], nn.Module]] = {"RMSNorm": partial(nn.RMSNorm, eps=1e-5), "LayerNorm": nn.LayerNorm}


class SetTransformer(Network):
    """Base of networks in which constituents and registers form one set that passes blocks of attention.

    A subclass sets its ``block``, and can override ``_encode`` to pass further arguments to a block.
    """

    block: Callable[..., nn.Module]

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        width: int = 256,
        layers: int = 4,
        heads: int = 8,
        feed_forward: int = 512,
        latent: int = 128,
        head: Sequence[int] = (128, 64, 32),
        registers: int = 8,
        norm: Literal["RMSNorm", "LayerNorm"] = "RMSNorm",
        gated: bool = True,
        activation: str = "silu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(inputs, outputs)
        self._check(width, heads, registers, norm, activation)
        flat = sum(len(inputs[name].features) for name in self.groups)
        sizes = {name: len(inputs[name].features) + flat for name in self.collections}
        self.embeddings = NamedModules(
            {name: mlp([size, width, width], activation, last=False) for name, size in sizes.items()}
        )
        self.registers = nn.Parameter(torch.randn(registers, width) * 0.02)
        self.blocks = nn.ModuleList(
            self.block(width, heads, feed_forward, NORMS[norm], gated, ACTIVATIONS[activation], dropout)
            for _ in range(layers)
        )
        self.project, self.norm = nn.Linear(width, latent), NORMS[norm](latent)
        self.score = nn.Linear(latent, 1)
        self.output = mlp([latent, *head, outputs], activation, dropout, last=False)
        self.constituent_width = self.row_width = latent
        self.target_layers = tuple(head)

    def _check(self, width: int, heads: int, registers: int, norm: str, activation: str) -> None:
        if not self.collections:
            raise CollidekitError("the analysis has no collection of constituents; take mlp")
        if width % heads:
            raise CollidekitError(f"width {width} cannot be shared by {heads} heads; take a multiple of {heads}")
        if registers < 1:
            raise CollidekitError("needs at least one register, because a row may have no constituents")
        for chosen, known in ((norm, NORMS), (activation, ACTIVATIONS)):
            if chosen not in known:
                close = did_you_mean(chosen, list(known))
                raise CollidekitError(f"{chosen!r} is not known{close}; known are {', '.join(known)}")

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        row, *_ = self._compute(inputs)
        return self._classes(row)

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        row, latent, _, places = self._compute(inputs)
        constituents = {name: latent.index_select(0, places[name]) for name in self.collections}
        return Embedding(self._classes(row), row, constituents)

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        entries: dict[str, Padded] = {name: inputs[name] for name in self.collections}  # type: ignore[misc]
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        embedded = []
        for name, entry in entries.items():
            wide = [group[:, None].expand(-1, entry.data.shape[1], -1) for group in flat]
            embedded.append(self.embeddings[name](torch.cat([entry.values, *wide], dim=2)))
        x, mask = side_by_side(list(entries.values()), embedded)
        registers = self.registers.expand(x.shape[0], -1, -1)
        x = torch.cat([x, registers], dim=1)
        mask = torch.cat([mask, torch.ones_like(registers[..., 0]) > 0], dim=1)
        latent = self.norm(self.project(self._encode_padded(x, mask, entries)))  # (N, L, latent)
        row = (latent * masked_softmax(self.score(latent), mask[..., None], dim=1)).sum(dim=1)
        return Embedding(self.output(row), row, apart(latent, entries))

    def _encode_padded(self, x: Tensor, mask: Tensor, entries: dict[str, Padded]) -> Tensor:
        """Return the members (N, L, width) after all blocks; the registers are the last ones."""
        looks = mask[:, None, :]
        for block in self.blocks:
            x = block.padded(x, looks)  # type: ignore[operator]
        return x

    def attention(self, inputs: dict[str, Input]) -> dict[str, Tensor]:
        """Return the weight of each constituent (T,) in the row; the rest to 1 is the weight of the registers."""
        _, _, weights, places = self._compute(inputs)
        return {name: weights.index_select(0, places[name])[:, 0] for name in self.collections}

    def _classes(self, row: Tensor) -> Tensor:
        with torch.autocast(row.device.type, enabled=False):  # few rows: full precision costs nothing here
            return self.output(row)  # type: ignore[no-any-return]  # (N, K)

    def _compute(self, inputs: dict[str, Input]) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Return the rows (N, latent), all members (T, latent), their weights (T, 1), and the indices of each collection."""
        members = self._embed(inputs)
        members[""] = self._registers(next(iter(members.values())).offsets)  # no collection has this name
        sets = Sets.of({name: entry.offsets for name, entry in members.items()})
        x = torch.cat([entry.data for entry in members.values()]).to(self.registers.dtype)  # norms need full precision
        whole, _ = whole_blocks(x.index_select(0, sets.order), sets.offsets)  # the zeros at the end belong to no row
        whole = self._encode(whole, sets)
        latent = self.norm(self.project(whole)[: len(x)].to(x.dtype))  # (T, latent)
        weights = softmax_of_rows(self.score(latent), sets.packing)
        rows = segment_sum(latent * weights, sets.offsets)
        return sets.packing.restore(rows.to(self.score.weight.dtype)), latent, weights, sets.places

    def _encode(self, whole: Tensor, sets: Sets) -> Tensor:
        """Return the members (T, width) in the order of ``sets``, after all blocks."""
        for block in self.blocks:
            whole = block(whole, sets.packing)
        return whole

    def _embed(self, inputs: dict[str, Input]) -> dict[str, Ragged]:
        """Return the embedded constituents (T, width) of each collection."""
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        embedded: dict[str, Ragged] = {}
        for name, embedding in self.embeddings.items():
            entry = inputs[name]
            assert isinstance(entry, Ragged)
            rows = entry.rows
            values = torch.cat([entry.values, *(group.index_select(0, rows) for group in flat)], dim=1)
            whole, _ = whole_blocks(values, entry.offsets)
            embedded[name] = Ragged(embedding(whole)[: len(values)], entry.offsets, self.registers.shape[1])
        return embedded

    def _registers(self, offsets: Tensor) -> Ragged:
        """Return the registers of each row, which are the same for all rows."""
        (number, width), rows = self.registers.shape, len(offsets) - 1
        data = self.registers.expand(rows, number, width).reshape(-1, width)
        return Ragged(data, send(torch.arange(rows + 1) * number, offsets.device, keep=True), width)


def softmax_of_rows(scores: Tensor, packing: Packing) -> Tensor:
    """Return weights (T, 1) from scores (T, 1) of sorted rows: a softmax in each row, in at least single precision."""
    scores = scores if scores.dtype == torch.float64 else scores.float()
    parts = []
    for block in packing.blocks:
        dense = block.fill(scores).masked_fill(~block.mask[:, :, None], -torch.inf)
        parts.append(block.take(dense.softmax(dim=1)))
    return torch.cat(parts) if parts else scores


class Block(nn.Module):
    """Attention within each row and a feed-forward layer, both on the normalised input and added to it."""

    def __init__(
        self,
        width: int,
        heads: int,
        feed_forward: int,
        norm: Callable[[int], nn.Module],
        gated: bool,
        activation: type[nn.Module],
        dropout: float,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_feed_forward = norm(width), norm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        nn.init.xavier_uniform_(self.queries_keys_values.weight)
        nn.init.zeros_(self.queries_keys_values.bias)
        self.mix = nn.Linear(width, width)
        self.feed_forward = FeedForward(width, feed_forward, gated, activation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        attended = attend(self.queries_keys_values(self.norm_attention(x)), packing, self.heads)
        x = x + self.dropout(self.mix(attended))
        return x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))  # type: ignore[no-any-return]

    def padded(self, x: Tensor, looks: Tensor) -> Tensor:
        """Return members (N, L, width) after the block; ``looks`` (N, L or 1, L) is the attention mask."""
        x = x + self.mix(
            attend_padded(self.queries_keys_values(self.norm_attention(x)), looks, self.heads, self.mix.out_features)
        )
        found: Tensor = x + self.feed_forward(self.norm_feed_forward(x))
        return found


def attend_padded(projected: Tensor, looks: Tensor, heads: int, width: int) -> Tensor:
    """Return attention (N, L, width) from queries, keys and values (N, L, 3 width), with the mask ``looks`` (N, L or 1, L)."""
    size = width // heads
    apart = projected.view(projected.shape[0], projected.shape[1], 3, heads, size).permute(2, 0, 3, 1, 4)
    q, k, v = apart[0], apart[1], apart[2]  # (N, heads, L, size)
    weights = masked_softmax(q @ k.transpose(2, 3) * size**-0.5, looks[:, None], dim=3)
    return (weights @ v).transpose(1, 2).reshape(projected.shape[0], projected.shape[1], width)


def attend(projected: Tensor, packing: Packing, heads: int, looks: Sequence[Tensor] = ()) -> Tensor:
    """Return attention (T, width) from queries, keys and values (T, 3 width); rows are padded to the longest of a block.

    ``looks`` are the attention masks (n, L, L) of the blocks; without them, all members of a row attend to each other.
    """
    parts = []
    for number, block in enumerate(packing.blocks):
        dense = block.fill(projected)  # (n, L, 3 width)
        q, k, v = dense.view(*dense.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)  # (n, heads, L, d)
        full = len(block.slots) == block.mask.numel()
        mask = looks[number][:, None] if looks else None if full else block.mask[:, None, None, :]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        parts.append(block.take(attended.transpose(1, 2).flatten(2)))
    rest = len(projected) - sum(len(part) for part in parts)
    return torch.cat([*parts, projected.new_zeros(rest, projected.shape[1] // 3)])


class FeedForward(nn.Module):
    """Feed-forward layer W2 activation(W1 x), or gated: W2 (activation(W1 x) * V x)."""

    def __init__(self, width: int, hidden: int, gated: bool, activation: type[nn.Module]) -> None:
        super().__init__()
        self.gated = gated
        self.inner = nn.Linear(width, hidden * (1 + gated))
        self.activation = activation()
        self.outer = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.inner(x)
        if self.gated:
            hidden, gate = hidden.chunk(2, dim=-1)
            return self.outer(self.activation(hidden) * gate)  # type: ignore[no-any-return]
        return self.outer(self.activation(hidden))  # type: ignore[no-any-return]


class Transformer(SetTransformer):
    """Transformer of one set: constituents of all collections, with flat groups as further features, and registers.

    Each collection has its own embedding of ``width``. After the blocks, every member of the set is projected to
    ``latent``. The row is the mean of the members with weights softmax(score) and a learned score (attention
    pooling). ``head`` are the hidden layers before the classes, and before each target.
    """

    block = Block


class TransformerSmall(Transformer):
    """Transformer with sizes for a laptop."""

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        feed_forward: int = 128,
        latent: int = 64,
        head: Sequence[int] = (64, 32),
        registers: int = 4,
        norm: Literal["RMSNorm", "LayerNorm"] = "RMSNorm",
        gated: bool = True,
        activation: str = "silu",
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            inputs, outputs, width, layers, heads, feed_forward, latent, head, registers, norm, gated, activation, dropout
        )  # fmt: skip
