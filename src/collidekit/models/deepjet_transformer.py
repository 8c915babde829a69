"""DeepJetTransformer: candidates of all collections in one set, a transformer encoder and attention pooling.

The network of this name in b-hive and in the DeepJet repository of CMS: RMSNorm (arXiv 1910.07467), gated feed-forward layers
(arXiv 2002.05202), and pooling with weights softmax(score). There is no paper on its architecture.
"""

import torch
from torch import Tensor, nn

from collidekit.dataset.batch import Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.models.constituent_layers import BatchNorm, ConstituentLinear
from collidekit.models.layers import segment_sum, whole_blocks
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Embedding, Inputs, Network
from collidekit.models.padded import Padded, PaddedInput, apart, masked_softmax, side_by_side
from collidekit.models.random_bits import check_probability
from collidekit.models.sets import Sets
from collidekit.models.transformer import NORMS, Block, softmax_of_rows

EPS, MOMENTUM = 1e-3, 0.1
"""Settings of the batch normalisation."""


class DeepJetTransformer(Network):
    """DeepJetTransformer: two dense layers for each candidate, ``layers`` attention blocks, attention pooling, a dense layer.

    Flat groups are used only if ``flat`` is true; then they are normalised and concatenated to the pooled row.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        width: int = 128,
        layers: int = 3,
        heads: int = 8,
        expansion: int = 4,
        dropout: float = 0.1,
        flat: bool = False,
    ) -> None:
        super().__init__(inputs, outputs)
        if not self.collections:
            raise CollidekitError("the analysis has no collection of constituents; take mlp")
        if width % heads:
            raise CollidekitError(f"width {width} cannot be shared by {heads} heads; take a multiple of {heads}")
        check_probability(dropout)
        if not flat:
            self.groups = []
        self.embeddings = NamedModules(
            {name: _embedding(len(inputs[name].features), width, dropout) for name in self.collections}
        )
        self.blocks = nn.ModuleList(_EncoderBlock(width, heads, expansion, dropout) for _ in range(layers))
        self.score = nn.Linear(width, 1)
        self.pooled = nn.Sequential(nn.GELU(), BatchNorm(width, EPS, MOMENTUM), nn.Dropout(dropout))
        features = sum(len(inputs[name].features) for name in self.groups)
        self.flat_norm = BatchNorm(features, EPS, MOMENTUM) if features else None
        self.dense = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), BatchNorm(width, EPS, MOMENTUM), nn.Dropout(dropout)
        )
        self.dense_norm = BatchNorm(width, EPS, MOMENTUM)
        self.output = nn.Linear(width + features, outputs)
        self.constituent_width = width
        self.row_width = width + features

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        return self.embed(inputs).outputs

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        rows, members, _, places = self._compute(inputs)
        constituents = {name: members.index_select(0, places[name]) for name in self.collections}
        return self._row(rows, inputs, constituents)

    def attention(self, inputs: dict[str, Input]) -> dict[str, Tensor]:
        """Return the weight of each candidate (T,) in the pooling."""
        _, _, weights, places = self._compute(inputs)
        return {name: weights.index_select(0, places[name])[:, 0] for name in self.collections}

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        entries: dict[str, Padded] = {name: inputs[name] for name in self.collections}  # type: ignore[misc]
        embedded = [self.embeddings[name](entry.values) for name, entry in entries.items()]
        x, mask = side_by_side(list(entries.values()), embedded)
        for block in self.blocks:
            x = block.padded(x, mask[:, None, :])  # type: ignore[operator]
        weights = masked_softmax(self.score(x), mask[..., None], dim=1)
        return self._row((x * weights).sum(dim=1), inputs, apart(x, entries))

    def _row(
        self, rows: Tensor, inputs: dict[str, Input] | dict[str, PaddedInput], constituents: dict[str, Tensor]
    ) -> Embedding:
        """Return the embedding of pooled rows (N, width), in full precision: there are few of them."""
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        with torch.autocast(rows.device.type, enabled=False):
            pooled = self.pooled(rows.to(self.output.weight.dtype))
            row = self.dense_norm(pooled + self.dense(pooled))
            if self.flat_norm is not None:
                row = torch.cat([row, self.flat_norm(torch.cat(flat, dim=1).to(row.dtype))], dim=1)
            return Embedding(self.output(row), row, constituents)

    def _compute(self, inputs: dict[str, Input]) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Return the rows (N, width), all candidates (T, width), their weights (T, 1), and the indices of each collection."""
        entries: dict[str, Ragged] = {name: inputs[name] for name in self.collections}  # type: ignore[misc]
        sets = Sets.of({name: entry.offsets for name, entry in entries.items()})
        embedded = [self.embeddings[name](entry.values) for name, entry in entries.items()]
        x = torch.cat(embedded).to(self.score.weight.dtype)
        whole, _ = whole_blocks(x.index_select(0, sets.order), sets.offsets)
        for block in self.blocks:
            whole = block(whole, sets.packing)
        members = whole[: len(x)].to(x.dtype)
        weights = softmax_of_rows(self.score(members), sets.packing)
        rows = segment_sum(members * weights, sets.offsets)
        return sets.packing.restore(rows.to(self.score.weight.dtype)), members, weights, sets.places


class _EncoderBlock(Block):
    """Block: x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, width: int, heads: int, expansion: int, dropout: float) -> None:
        super().__init__(width, heads, expansion * width, NORMS["RMSNorm"], True, nn.SiLU, dropout)
        self.feed_forward = GatedFeedForward(width, expansion * width)  # type: ignore[assignment]


class GatedFeedForward(nn.Module):
    """Gated feed-forward layer: W2 norm(W1 x * silu(V x))."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, 2 * hidden)
        self.norm = NORMS["RMSNorm"](hidden)
        self.outer = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        values, gate = self.inner(x).chunk(2, dim=-1)
        found: Tensor = self.outer(self.norm(values * nn.functional.silu(gate)))
        return found


def _embedding(features: int, width: int, dropout: float) -> nn.Sequential:
    """Return two dense layers, each with GELU, batch normalisation and dropout, after a normalisation of the features."""
    steps: list[nn.Module] = [BatchNorm(features, EPS, MOMENTUM)]
    for size in (features, width):
        steps += [ConstituentLinear(size, width), nn.GELU(), BatchNorm(width, EPS, MOMENTUM), nn.Dropout(dropout)]
    return nn.Sequential(*steps)
