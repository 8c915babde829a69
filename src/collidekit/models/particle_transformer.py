"""Particle transformer (Qu, Li, Qian, arXiv 2202.03772): attention with features of pairs of particles."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor, nn

from collidekit.dataset.batch import Input, Ragged
from collidekit.dataset.transfer import on_host, send
from collidekit.errors import CollidekitError
from collidekit.models.constituent_layers import BatchNorm
from collidekit.models.layers import whole_blocks
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Embedding, Inputs, Network
from collidekit.models.packing import pack, pairs
from collidekit.models.padded import Padded, PaddedInput, apart, hidden, side_by_side
from collidekit.models.pair_embedding import PairEmbedding
from collidekit.models.pair_features import FEATURES, padded_pair_features, pair_features
from collidekit.models.particle_attention import Heads, spread
from collidekit.models.particle_blocks import ClassBlock, ParticleBlock, normalise
from collidekit.models.random_bits import Drop, check_probability
from collidekit.models.sets import Sets

CHUNK = 2048
"""Number of constituents that are computed at a time, so that a block fits into the cache of the processor."""


class ParticleTransformer(Network):
    """Attention softmax(q k + U) v with U from ln kT, ln z, ln ΔR and ln m² of each pair (eq. 4), then class attention.

    Each collection has its own embedding; all collections form one set. All constituents with momenta have pair features;
    other pairs have U = 0. Flat groups are concatenated to the class token before the last layer, which the
    paper does not have. Dropout is only in the particle blocks, also of the attention weights.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        embedding: Sequence[int] = (128, 512, 128),
        pair_embedding: Sequence[int] = (64, 64, 64),
        heads: int = 8,
        layers: int = 8,
        class_layers: int = 2,
        expansion: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(inputs, outputs)
        self.moving = [name for name in self.collections if getattr(inputs[name], "momenta", None)]
        self.collections.sort(key=lambda name: name not in self.moving)
        self._check(embedding, pair_embedding, heads, class_layers)
        check_probability(dropout)
        width = embedding[-1]
        self.heads, self.dropout = heads, dropout
        self.embeddings = NamedModules(
            {name: ConstituentEmbedding([len(inputs[name].features), *embedding]) for name in self.collections}
        )
        self.pair_embedding = PairEmbedding([len(FEATURES), *pair_embedding, heads]) if pair_embedding else None
        self.particle_blocks = nn.ModuleList(ParticleBlock(width, heads, expansion) for _ in range(layers))
        self.class_blocks = nn.ModuleList(ClassBlock(width, heads, expansion) for _ in range(class_layers))
        self.class_token = nn.Parameter(torch.empty(width))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width + sum(len(inputs[name].features) for name in self.groups), outputs)
        self.constituent_width = self.row_width = width
        self._first_weights()

    def _check(self, embedding: Sequence[int], pair_embedding: Sequence[int], heads: int, class_layers: int) -> None:
        if not self.collections:
            raise CollidekitError("the analysis has no collection of constituents; take mlp")
        if pair_embedding and not self.moving:
            raise CollidekitError(
                f"no collection has momenta: give {' or '.join(self.collections)} momenta: [px, py, pz, E] in the analysis "
                "file, or set pair_embedding to [] to train without pair features"
            )
        if not embedding or embedding[-1] % heads:
            raise CollidekitError(
                f"the last size of embedding {list(embedding)} must be a multiple of the {heads} heads"
            )
        if class_layers < 1:
            raise CollidekitError("needs at least one class layer, which combines the constituents into one row")

    def _first_weights(self) -> None:
        """Initialise weights as weaver does: Xavier uniform, biases 0; the output of block n is smaller by sqrt(2 n)."""
        nn.init.trunc_normal_(self.class_token, std=0.02)
        limit = (3 / len(self.class_token)) ** 0.5  # limit of Xavier, for queries, keys and values separately
        for name, part in self.named_modules():
            if isinstance(part, nn.Linear) and not name.startswith("pair_embedding."):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)
        for block in (*self._blocks(), *self._class_blocks()):
            nn.init.uniform_(block.queries_keys_values.weight, -limit, limit)
        with torch.no_grad():
            for number, particles in enumerate(self._blocks(), 1):
                particles.mix.weight /= (2 * number) ** 0.5
                particles.outer.weight /= (2 * number) ** 0.5

    def _blocks(self) -> list[ParticleBlock]:
        return list(self.particle_blocks)  # type: ignore[arg-type]

    def _class_blocks(self) -> list[ClassBlock]:
        return list(self.class_blocks)  # type: ignore[arg-type]

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        return self._classes(self._compute(inputs).rows, inputs)

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        seen = self._compute(inputs)
        constituents = {name: seen.constituents.index_select(0, seen.sets.places[name]) for name in self.collections}
        return Embedding(self._classes(seen.rows, inputs), seen.rows, constituents)

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        entries: dict[str, Padded] = {name: inputs[name] for name in self.collections}  # type: ignore[misc]
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        embedded = [self.embeddings[name].padded(entry.values) for name, entry in entries.items()]  # type: ignore[operator]
        x, mask = side_by_side(list(entries.values()), embedded)
        bias = hidden(self._padded_pairs(entries), mask)
        for particles in self._blocks():
            x = particles.padded(x, bias)
        token = self.class_token.expand(x.shape[0], -1)
        for block in self._class_blocks():
            token = block.padded(token, x, mask)
        row = self.norm(token)
        return Embedding(self.output(torch.cat([row, *flat], dim=1)), row, apart(x, entries))

    def _padded_pairs(self, entries: dict[str, Padded]) -> Tensor:
        """Return the bias of the heads for each pair (N, heads, L, L) of all constituents, 0 for pairs without momenta."""
        moves = [
            entry.there if name in self.moving else torch.zeros_like(entry.there) for name, entry in entries.items()
        ]
        there = torch.cat(moves, dim=1)  # (N, L, 1)
        both = (there * there.transpose(1, 2))[:, None]  # (N, 1, L, L)
        if self.pair_embedding is None:
            return torch.zeros_like(both)
        momenta = [
            entry.momenta if name in self.moving else torch.zeros_like(entry.there).expand(-1, -1, 4)
            for name, entry in entries.items()
        ]
        features = padded_pair_features(torch.cat(momenta, dim=1), torch.cat(momenta, dim=1))
        return self.pair_embedding.padded(features) * both

    def attention(self, inputs: dict[str, Input]) -> dict[str, Tensor]:
        """Return the attention of the class token to each constituent (T,); the rest to 1 is the attention to itself."""
        seen = self._compute(inputs)
        return {name: seen.weights.index_select(0, seen.sets.places[name]) for name in self.collections}

    def _classes(self, rows: Tensor, inputs: dict[str, Input]) -> Tensor:
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        with torch.autocast(rows.device.type, enabled=False):  # few rows: full precision costs nothing here
            return self.output(torch.cat([rows, *(group.to(rows.dtype) for group in flat)], dim=1))  # type: ignore[no-any-return]

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # blocks have other sizes in each batch
    def _compute(self, inputs: dict[str, Input]) -> "Encoded":
        entries: dict[str, Ragged] = {name: inputs[name] for name in self.collections}  # type: ignore[misc]
        sets = Sets.of({name: entry.offsets for name, entry in entries.items()})
        embedded = [self.embeddings[name](entry.values) for name, entry in entries.items()]
        x = torch.cat(embedded).index_select(0, sets.order)  # (T, E), rows sorted by length
        if len(x):
            x = self._particle_attention(x, self._pairs(entries, sets), sets)
        with torch.autocast(x.device.type, enabled=False):
            token, weights = self._class_attention(x, sets)
        return Encoded(sets.packing.restore(token), x, weights, sets)

    def _particle_attention(self, x: Tensor, paired: "Paired", sets: Sets) -> Tensor:
        """Return constituents (T, E) after all particle blocks. A few rows at a time pass all blocks and stay in the cache."""
        drop = Drop(self.dropout, x.device) if self.training and self.dropout else None
        prepared = [block.prepare(drop) for block in self._blocks()]
        parts = []
        for values, group, biases in _groups(x, paired, sets):
            length = len(values)
            values, _ = whole_blocks(values, sets.offsets, 128)
            for block, weights in zip(self._blocks(), prepared, strict=True):
                values = block(values, weights, group, biases, drop)
            parts.append(values[:length])
        return torch.cat(parts)

    def _pairs(self, entries: dict[str, Ragged], sets: Sets) -> "Paired":
        """Return the bias of the heads for each pair of constituents with momenta, in at least single precision."""
        dtype = torch.promote_types(self.class_token.dtype, torch.float32)
        if self.pair_embedding is None:
            none = send(torch.zeros_like(sets.packing.counts), self.class_token.device, keep=True)
            return Paired(self.class_token.new_zeros(0, self.heads, dtype=dtype), none)
        moving = [entries[name] for name in self.moving]
        momenta = torch.cat([entry.momenta for entry in moving])
        device = momenta.device
        own = torch.stack([on_host(entry.offsets).diff() for entry in moving]).sum(dim=0)
        own = own.index_select(0, sets.sorted_rows)
        counts, offsets = (send(own, device, keep=True), send(F.pad(own.cumsum(0), (1, 0)), device, keep=True))
        order = sets.order
        if len(moving) < len(entries):
            known = on_host(order)
            order = send(known[known < len(momenta)], device)
        i, j = pairs(offsets, themselves=True)
        features = pair_features(momenta.index_select(0, order), i, j)
        return Paired(self.pair_embedding(features).to(dtype), counts)

    def _class_attention(self, x: Tensor, sets: Sets) -> tuple[Tensor, Tensor]:
        """Return class tokens (N, E) of the sorted rows, and their mean attention to each constituent (T,)."""
        normal = normalise(x).to(self.class_token.dtype)
        particles = [(block, block.fill(normal)) for block in sets.packing.blocks]
        token = self.class_token.expand(len(sets.packing.rows), -1)
        weights = x.new_zeros(len(x))
        for block in self._class_blocks():
            token, looked = block(token, particles)
            weights = weights + looked / len(self.class_blocks)
        return self.norm(token), weights


class ParticleTransformerSmall(ParticleTransformer):
    """Particle transformer with sizes for a laptop."""

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        embedding: Sequence[int] = (64, 128, 64),
        pair_embedding: Sequence[int] = (16, 16),
        heads: int = 4,
        layers: int = 3,
        class_layers: int = 1,
        expansion: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(inputs, outputs, embedding, pair_embedding, heads, layers, class_layers, expansion, dropout)


class ConstituentEmbedding(nn.Module):
    """Batch normalisation, then dense layers, each after a layer normalisation and followed by GELU."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.norm = BatchNorm(sizes[0])
        parts = [(nn.LayerNorm(a), nn.Linear(a, b), nn.GELU()) for a, b in pairwise(sizes)]
        self.layers = nn.Sequential(*(part for three in parts for part in three))

    def forward(self, values: Tensor) -> Tensor:
        """Return embeddings (T, E) of features (T, F)."""
        whole, _ = whole_blocks(self.norm(values), torch.zeros(1, dtype=torch.int64, device=values.device))
        return torch.cat([self.layers(part) for part in torch.split(whole, CHUNK)])[: len(values)]

    def padded(self, values: Tensor) -> Tensor:
        """Return embeddings (N, L, E) of features (N, L, F)."""
        found: Tensor = self.layers(self.norm(values))
        return found


@frozen
class Paired:
    """Biases of pairs (P, heads), row after row, and the number of constituents of each row (N,) that form pairs."""

    biases: Tensor
    counts: Tensor


@frozen
class Encoded:
    """Class tokens (N, E) of the rows, sorted constituents (T, E), and the attention of the tokens to them (T,)."""

    rows: Tensor
    constituents: Tensor
    weights: Tensor
    sets: Sets


def _groups(x: Tensor, paired: Paired, sets: Sets) -> Iterator[tuple[Tensor, list[Heads], list[Tensor]]]:
    """Yield constituents, blocks and biases of complete rows, about ``CHUNK`` constituents at a time."""
    heads = paired.biases.shape[1]
    counts = sets.packing.counts
    rows = list(_cut(counts.tolist()))
    groups = [
        pack(send(F.pad(own.cumsum(0), (1, 0)), x.device, keep=True)).blocks
        for own in torch.split(counts[: sum(rows)], rows)
    ]
    values = torch.split(x, [group[-1].last for group in groups])
    blocks = [block for group in groups for block in group]
    sizes = [block.stop - block.start for block in blocks]
    some = torch.split(paired.counts[: sum(rows)], sizes)
    known = torch.split(on_host(paired.counts)[: sum(rows)], sizes)
    inside = [int((own * (own + 1) // 2).sum()) for own in known]
    biases = map(spread, torch.split(paired.biases, inside), some, blocks)
    for own_values, group in zip(values, groups, strict=True):
        apart = [Heads.of(block, heads, len(own_values)) for block in group]
        yield own_values, apart, [next(biases) for _ in group]


def _cut(counts: Sequence[int]) -> Iterator[int]:
    """Yield the numbers of non-empty rows to compute at a time, for counts in descending order."""
    rows = together = 0
    for count in counts:
        if rows and (count == 0 or together + count > CHUNK):
            yield rows
            rows = together = 0
        if count == 0:
            return
        rows, together = rows + 1, together + count
    if rows:
        yield rows
