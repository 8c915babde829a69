"""Pair transformer: a small transformer whose attention uses the kinematics of pairs of constituents.

As in the particle transformer (arXiv 2202.03772, eq. 4) the attention is softmax(q k / sqrt(d) + U), with U from ln kT, ln z,
ln dR and ln m2 of each pair. It is made for small samples and few processors: narrow, three layers, and U from one hidden layer
for all of them. U does not change if a jet is rotated about the beam or about its axis, or boosted along the
beam. The score does not change either, if the selected features do not.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from collidekit.analysis.schema import Collection
from collidekit.dataset.batch import Input, Ragged
from collidekit.dataset.transfer import constant
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.layers import build_activation, mlp
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Embedding, Inputs, Network
from collidekit.models.padded import Padded, PaddedInput, apart, flat_linear, hidden, masked_softmax, side_by_side
from collidekit.models.pair_features import FEATURES, pair_features, pair_features_of
from collidekit.models.particle_attention import attend_padded
from collidekit.models.sets import Sets, leading, spread_leading

LARGEST = 1536
"""Largest number of constituents of a block, so that the numbers of a layer fit into the cache of a processor."""
CENTRE, WIDTH = (0.0, -2.0, -2.0, 0.0), (2.0, 2.0, 1.0, 3.0)
"""Approximate mean and width of ln kT, ln z, ln dR and ln m2."""
NOTHING = -1e4
"""Attention score of padding before the softmax."""


class PairTransformer(Network):
    """Network of embedding, ``layers`` of attention and feed-forward, gated sum over constituents, and head with flat groups.

    ``features`` are the features of constituents that are used; empty: all. ``first`` is the number of
    constituents of each collection that are used, in the order of the analysis file; 0: all.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        width: int = 64,
        layers: int = 3,
        heads: int = 8,
        feed_forward: int = 128,
        pair_width: int = 32,
        pair_activation: str = "silu",
        head: Sequence[int] = (64,),
        dropout: float = 0.0,
        features: Sequence[str] = (),
        first: int = 48,
    ) -> None:
        super().__init__(inputs, outputs)
        self.used = {name: entry for name, entry in inputs.items() if isinstance(entry, Collection) and entry.momenta}
        if not self.used:
            raise CollidekitError("no collection of the analysis has momenta; give them in the analysis file")
        if width % heads:
            raise CollidekitError(f"width {width} cannot be shared by {heads} heads; take a multiple of {heads}")
        self.columns = _columns(self.used, features)
        self.first = first
        self.embeddings = NamedModules(
            {name: mlp([len(columns), width, width], "silu", last=False) for name, columns in self.columns.items()}
        )
        self.pairs = PairBias(pair_width, heads, pair_activation)
        self.blocks = nn.ModuleList(Block(width, heads, feed_forward, dropout) for _ in range(layers))
        self.norm, self.gate = nn.RMSNorm(width), nn.Linear(width, width)
        flat = sum(len(inputs[name].features) for name in self.groups)
        self.output = mlp([width + flat, *head, outputs], "silu", last=False)
        self.constituent_width, self.row_width = width, width + flat

    def width_of(self, collection: str) -> int:
        return self.constituent_width if collection in self.used else 0

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        return self.output(self._compute(inputs)[0])  # type: ignore[no-any-return]  # (N, K)

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        """Return outputs, rows and constituents; 0 for constituents beyond the ``first`` ones, which are not used."""
        row, x, sets = self._compute(inputs)
        sorted_constituents = torch.cat(
            [block.take(part) for block, part in zip(sets.packing.blocks, x, strict=True)] or [row[:0]]
        )
        embedded = {}
        for name in self.used:
            entry = inputs[name]
            assert isinstance(entry, Ragged)
            own = sorted_constituents[:, : self.constituent_width].index_select(0, sets.places[name])
            embedded[name] = spread_leading(own, entry, self.first)
        return Embedding(self.output(row), row, embedded)

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        whole: dict[str, Padded] = {name: inputs[name] for name in self.used}  # type: ignore[misc]
        entries = {name: entry.leading(self.first) if self.first else entry for name, entry in whole.items()}
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        embedded = [
            self.embeddings[name](
                entry.values.index_select(2, torch.tensor(self.columns[name], device=entry.data.device))
            )
            for name, entry in entries.items()
        ]
        x, mask = side_by_side(list(entries.values()), embedded)
        bias = hidden(self.pairs.padded(torch.cat([entry.momenta for entry in entries.values()], dim=1)), mask)
        for block in self.blocks:
            x = block.padded(x, bias)  # type: ignore[operator]
        x = self.norm(x)
        weights = masked_softmax(self.gate(x), mask[..., None], dim=1)
        row = torch.cat([(weights * x).sum(dim=1), *flat], dim=1)
        constituents = apart(x, entries)
        if self.first:  # constituents that are not used
            for name, entry in whole.items():
                rest = torch.zeros_like(entry.data[:, self.first :, :1]).expand(-1, -1, self.constituent_width)
                constituents[name] = torch.cat([constituents[name], rest], dim=1)
        return Embedding(self.output(row), row, constituents)

    def _compute(self, inputs: dict[str, Input]) -> tuple[Tensor, list[Tensor], Sets]:
        """Return the rows (N, width + flat), the constituents of each block (n, L, width), and the sets of rows."""
        members = {name: self._embed(name, inputs[name]) for name in self.used}
        sets = Sets.of({name: entry.offsets for name, entry in members.items()}, LARGEST)
        data = torch.cat([entry.data for entry in members.values()]).index_select(0, sets.order)
        parts = [self._rows(block.fill(data), block.mask) for block in sets.packing.blocks]
        rows = [row for row, _ in parts]
        latent = sets.packing.restore(torch.cat(rows) if rows else data.new_zeros(0, self.norm.weight.numel()))
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        return torch.cat([latent, *flat], dim=1), [x for _, x in parts], sets

    def _embed(self, name: str, entry: Input) -> Ragged:
        """Return the momenta and the embedding of each constituent (T, 4 + width)."""
        assert isinstance(entry, Ragged)
        entry = leading(entry, self.first) if self.first else entry
        columns = constant(self.columns[name], entry.offsets)
        embedded = self.embeddings[name](entry.values[:, columns])
        return Ragged(torch.cat([entry.momenta, embedded.to(entry.data.dtype)], dim=1), entry.offsets, 0)

    def _rows(self, data: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows (n, width) and the constituents (n, L, width) of a block (n, L, 4 + width)."""
        bias = self.pairs(data[..., :4], mask)
        x = data[..., 4:]
        for block in self.blocks:
            x = block(x, bias)
        x = self.norm(x)
        weights = self.gate(x).masked_fill(~mask[..., None], NOTHING).softmax(dim=1)
        return (weights * x).sum(dim=1), x


def _columns(collections: dict[str, Collection], features: Sequence[str]) -> dict[str, list[int]]:
    names = {name: [feature.name for feature in entry.features] for name, entry in collections.items()}
    known = [feature for own in names.values() for feature in own]
    for name in features:
        if name not in known:
            raise CollidekitError(f"features: there is no {name!r}{did_you_mean(name, known)}")
    columns = {name: [i for i, one in enumerate(own) if not features or one in features] for name, own in names.items()}
    for name, chosen in columns.items():
        if not chosen:
            raise CollidekitError(f"features: none of collection {name!r} is among them")
    return columns


class PairBias(nn.Module):
    """Bias of each head for each pair (heads, n, L, L), computed once for (i, j) and (j, i)."""

    def __init__(self, width: int, heads: int, activation: str) -> None:
        super().__init__()
        self.activation = build_activation(activation)
        self.hidden, self.output = nn.Linear(len(FEATURES), width), nn.Linear(width, heads)

    def forward(self, momenta: Tensor, mask: Tensor) -> Tensor:
        n, length, _ = momenta.shape
        i, j, _, _ = _triangle(length, momenta.device)
        with torch.no_grad():
            first = torch.arange(n, device=i.device)[:, None] * length
            given = pair_features(momenta.reshape(-1, 4), (first + i).view(-1), (first + j).view(-1))
            scaled = ((given - constant(CENTRE, given)) / constant(WIDTH, given)).to(self.hidden.weight.dtype)
        hidden = torch.addmm(self.hidden.bias[:, None], self.hidden.weight, scaled.t())  # (width, n * pairs)
        bias = torch.addmm(self.output.bias[:, None], self.output.weight, self.activation(hidden))
        bias = bias.view(len(bias), n, len(i))
        spread: Tensor = _Spread.apply(F.pad(bias, (0, 1)), length)  # type: ignore[no-untyped-call]
        return spread.view(-1, n, length, length).masked_fill(~mask[:, None], NOTHING)

    def padded(self, momenta: Tensor) -> Tensor:
        """Return the bias (N, heads, L, L) for all pairs of constituents with momenta (N, L, 4), 0 on the diagonal.

        It is computed for each constituent with itself and with the next L / 2 constituents in cyclic order, which are all pairs,
        and copied to the full matrix.
        """
        length = momenta.shape[1]
        number = length // 2 + 1
        place = torch.arange(length, device=momenta.device)
        later = (place[:, None] + torch.arange(number, device=momenta.device)) % length
        others = momenta.index_select(1, later.flatten()).reshape(momenta.shape[0], length, number, 4)
        given = pair_features_of(momenta[:, :, None], others)
        weight = self.hidden.weight / given.new_tensor(WIDTH)
        scaled = flat_linear(given, weight, self.hidden.bias - weight @ given.new_tensor(CENTRE))
        bias = flat_linear(self.activation(scaled), self.output.weight, self.output.bias)  # (N, L, number, heads)
        rows = bias.reshape(momenta.shape[0], length * number, self.output.out_features)
        with_zero = torch.cat(
            [rows, torch.zeros_like(momenta[:, :1, :1]).expand(-1, 1, self.output.out_features)], dim=1
        )
        behind = (
            place - place[:, None] + length
        ) % length  # cyclic distance of the second from the first constituent of a pair
        first = place[:, None] * number + behind
        second = place * number + length - behind
        pair = torch.where(behind == 0, length * number, torch.where(behind < number, first, second))
        spread = with_zero.index_select(1, pair.flatten()).reshape(
            momenta.shape[0], length, length, self.output.out_features
        )
        return spread.permute(0, 3, 1, 2)


@lru_cache(maxsize=512)
def _triangle(length: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return i and j of all pairs i < j (P,), the indices of (i, j) and (j, i) in (L * L), and the pair of each (L, L)."""
    i, j = torch.triu_indices(length, length, 1, device=device)
    pairs = torch.full((length, length), len(i), device=device)  # one past the last on the diagonal
    pairs[i, j] = pairs[j, i] = torch.arange(len(i), device=device)
    places = torch.stack([i * length + j, j * length + i])
    return i, j, places, pairs.view(-1)


class _Spread(torch.autograd.Function):
    """Copy of pairs (H, n, P + 1) to (H, n, L * L). Backward is two selections; ``index_select`` would add one by one."""

    @staticmethod
    def forward(context: Any, values: Tensor, length: int) -> Tensor:
        context.length = length
        return values.index_select(2, _triangle(length, values.device)[3])

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        above, below = _triangle(context.length, gradient.device)[2]
        pairs = gradient.index_select(2, above) + gradient.index_select(2, below)
        own = gradient[:, :, :: context.length + 1].sum(dim=2, keepdim=True)
        return torch.cat([pairs, own], dim=2), None


class Block(nn.Module):
    """Attention with a bias, then a feed-forward layer, both on the normalised input and added to it; both start at 0."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_feed_forward = nn.RMSNorm(width), nn.RMSNorm(width)
        self.queries_keys_values, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, feed_forward), nn.Linear(feed_forward, width)
        self.dropout = nn.Dropout(dropout)
        for last in (self.mix, self.outer):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = x + self.dropout(self.mix(self._attention(self.norm_attention(x), bias)))
        return x + self.dropout(self.outer(F.silu(self.inner(self.norm_feed_forward(x)))))  # type: ignore[no-any-return]

    def padded(self, x: Tensor, bias: Tensor) -> Tensor:
        """Return (N, L, width) for constituents (N, L, width) and a bias (N, heads, L, L) of ``hidden``."""
        projected = self.queries_keys_values(self.norm_attention(x))
        x = x + self.mix(attend_padded(projected, bias, self.heads, self.mix.out_features))
        found: Tensor = x + self.outer(F.silu(self.inner(self.norm_feed_forward(x))))
        return found

    def _attention(self, x: Tensor, bias: Tensor) -> Tensor:
        n, length, width = x.shape
        projected = self.queries_keys_values(x).view(n, length, 3, self.heads, -1).permute(2, 3, 0, 1, 4)
        q, k, v = projected.reshape(3, self.heads * n, length, -1)
        bias = bias.reshape(-1, length, length).to(q.dtype)
        weights = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=q.shape[2] ** -0.5).softmax(dim=2)
        together = torch.bmm(weights, v).view(self.heads, n, length, -1).permute(1, 2, 0, 3)
        return together.reshape(n, length, width)
