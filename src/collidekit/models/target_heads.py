"""Heads of the targets of constituents: their class, and the pairs that come from the same vertex.

As in GN1 and GN2 (ATL-PHYS-PUB-2022-027; arXiv 2505.19689), they are small networks of the embeddings of constituents and row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from collidekit.analysis.schema import Collection
from collidekit.analysis.targets import Assignment, MemberClasses, MemberTarget
from collidekit.dataset.batch import Input, Ragged
from collidekit.models.heads.assignment import AssignmentHead, Scores, of_event
from collidekit.models.layers import mlp, whole_blocks
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Embedding, Network
from collidekit.models.packing import pairs
from collidekit.models.padded import Padded, PaddedInput

PAIRS = 1 << 18
"""Number of pairs that are computed together, to limit the memory of intermediate results."""


class TargetHeads(nn.Module):
    """Heads of all targets; logits are (T, classes) for classes, (P,) for the pairs of ``packing.pairs``, ``Scores`` of assignments."""

    def __init__(
        self, targets: Mapping[str, MemberTarget | Assignment], inputs: Mapping[str, Collection], network: Network
    ) -> None:
        super().__init__()
        self.targets = dict(targets)
        self.limits = {name: entry.limit for name, entry in inputs.items()}
        self.collections = {name: target.collection for name, target in targets.items()}
        self.heads = NamedModules()
        self.assignments: list[str] = []
        for name, target in targets.items():
            if isinstance(target, Assignment):
                self.heads[name] = AssignmentHead(target, inputs, network)
                self.assignments.append(name)
                continue
            widths = network.width_of(target.collection), network.row_width
            if isinstance(target, MemberClasses):
                self.heads[name] = ClassHead(*widths, network.target_layers, len(target.classes))
            else:
                self.heads[name] = PairHead(*widths, network.target_layers)

    def scores(self, embedding: Embedding, inputs: dict[str, Input]) -> dict[str, Scores]:
        """Return the scores of the assignments only."""
        return {name: self.heads[name](embedding, inputs) for name in self.assignments}

    @property
    def constituent_columns(self) -> dict[str, str]:
        """Return the columns of ``padded`` with a number for each constituent (N, L), with their collection."""
        found: dict[str, str] = {}
        for name, target in self.targets.items():
            if isinstance(target, MemberClasses):
                found |= {f"{name}_{kind}": target.collection for kind in target.classes}
            if not isinstance(target, Assignment):
                found[name] = target.collection
        return found

    def padded(self, embedding: Embedding, inputs: Mapping[str, PaddedInput]) -> dict[str, Tensor]:
        """Return the columns of all targets, for an embedding and inputs in the padded form.

        For classes of constituents they are ``<target>_<class>`` (N, L), the probability of each class, 0 in an empty slot, and
        ``<target>``, the most probable class, counted from 0 in the order of the analysis file. For pairs of the same origin
        ``<target>`` is the number of the vertex of each constituent, see ``vertices``. Both are int8 and -1 in an empty slot. For
        assignments see ``AssignmentHead.padded``.
        """
        found: dict[str, Tensor] = {}
        for name, target in self.targets.items():
            head: Any = self.heads[name]
            if isinstance(target, Assignment):
                columns = head.padded(embedding, inputs)
                found |= {**columns, **of_event(name, target, columns)}
                continue
            entry, collection = inputs[target.collection], target.collection
            assert isinstance(entry, Padded)
            raw = head.padded(embedding.constituents[collection], embedding.row)
            if isinstance(target, MemberClasses):
                probabilities = raw.softmax(dim=2) * entry.there
                found |= {f"{name}_{kind}": probabilities[..., k] for k, kind in enumerate(target.classes)}
                found[name] = _only(raw.argmax(dim=2), entry.mask, len(target.classes))
            else:
                numbers = vertices(raw > 0, entry.mask, self.limits[collection])
                found[name] = _only(numbers, entry.mask, self.limits[collection])
        return found

    def forward(self, embedding: Embedding, inputs: dict[str, Input]) -> dict[str, Any]:
        logits: dict[str, Any] = dict(self.scores(embedding, inputs))
        for name, collection in self.collections.items():
            if name in logits:
                continue
            entry = inputs[collection]
            assert isinstance(entry, Ragged)
            logits[name] = self.heads[name](embedding.constituents[collection], embedding.row, entry)
        return logits


class ClassHead(nn.Module):
    """Network of a constituent and its row; the term of the row in the first layer is computed once per row."""

    def __init__(self, width: int, row_width: int, layers: Sequence[int], classes: int) -> None:
        super().__init__()
        self.constituent = nn.Linear(width, layers[0])
        self.row = nn.Linear(row_width, layers[0], bias=False)
        self.rest = nn.Sequential(nn.ReLU(), mlp([*layers, classes], last=False))

    def forward(self, constituents: Tensor, row: Tensor, entry: Ragged) -> Tensor:
        first = _each(self.constituent, constituents) + self.row(row).index_select(0, entry.rows)
        return _each(self.rest, first)  # (T, classes)

    def padded(self, constituents: Tensor, row: Tensor) -> Tensor:
        """Return logits (N, L, classes) from constituents (N, L, width) and rows (N, row_width)."""
        found: Tensor = self.rest(self.constituent(constituents) + self.row(row)[:, None])
        return found


class PairHead(nn.Module):
    """Network of a pair of constituents and their row, symmetric in the constituents.

    GN2 passes [x_i, x_j, row] to its network in both orders. Here the first layer is A x_i + A x_j + (B x_i)(B x_j) + C row:
    each pair is computed once, and matrices are multiplied once per constituent.
    """

    def __init__(self, width: int, row_width: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.sum = nn.Linear(width, layers[0])
        self.product = nn.Linear(width, layers[0], bias=False)
        self.row = nn.Linear(row_width, layers[0], bias=False)
        self.rest = nn.Sequential(nn.ReLU(), mlp([*layers, 1], last=False))

    def forward(self, constituents: Tensor, row: Tensor, entry: Ragged) -> Tensor:
        sums = _each(self.sum, constituents) + 0.5 * self.row(row).index_select(0, entry.rows)
        products = _each(self.product, constituents)
        i, j = pairs(entry.offsets)
        if len(i) <= PAIRS:
            return self._logits(sums, products, i, j)
        parts = zip(i.split(PAIRS), j.split(PAIRS), strict=True)  # type: ignore[no-untyped-call]
        return torch.cat([checkpoint(self._logits, sums, products, a, b, use_reentrant=False) for a, b in parts])

    def padded(self, constituents: Tensor, row: Tensor) -> Tensor:
        """Return logits (N, L, L) of all pairs in both orders, from constituents (N, L, width) and rows (N, row_width)."""
        sums = self.sum(constituents) + 0.5 * self.row(row)[:, None]
        products = self.product(constituents)
        first = sums[:, :, None] + sums[:, None] + products[:, :, None] * products[:, None]
        found: Tensor = self.rest(first).squeeze(3)
        return found

    def _logits(self, sums: Tensor, products: Tensor, i: Tensor, j: Tensor) -> Tensor:
        first = sums.index_select(0, i) + sums.index_select(0, j)
        first = first + products.index_select(0, i) * products.index_select(0, j)
        return _each(self.rest, first).squeeze(1)  # (P,)


def _each(layer: nn.Module, values: Tensor) -> Tensor:
    """Apply a layer to each constituent or pair, in padded blocks in bfloat16."""
    whole, _ = whole_blocks(values, torch.tensor([0]))
    return layer(whole)[: len(values)]  # type: ignore[no-any-return]


def vertices(paired: Tensor, mask: Tensor, limit: int) -> Tensor:
    """Return the number of the vertex (N, L) of each constituent, given the pairs of the same origin ``paired (N, L, L)``.

    Constituents that are connected by pairs, also through others, form a vertex; one without a partner is its own vertex. Vertices
    are counted from 0 in the order of their first constituents. ``mask (N, L)`` marks existing constituents, at most ``limit`` in a
    row; the numbers of empty slots have no meaning.
    """
    place = torch.ones_like(mask, dtype=torch.float32).cumsum(dim=1) - 1  # (N, L)
    itself = place[:, :, None] == place[:, None]
    there = mask[:, :, None] & mask[:, None]
    connected = ((paired | itself) & there).to(torch.float32)
    for _ in range(max(limit - 1, 1).bit_length()):  # each time the length of connections doubles
        connected = (connected @ connected).clamp(max=1.0)
    beyond = torch.full_like(connected, float(limit))
    first = torch.where(connected > 0, place[:, None], beyond).amin(
        dim=2
    )  # (N, L) first constituent of the same vertex
    begins = ((first == place) & mask).to(torch.float32)
    earlier = (place[:, None] < first[:, :, None]).to(torch.float32)  # (N, L, L)
    return (earlier @ begins[:, :, None]).squeeze(2).to(torch.int64)


def _only(numbers: Tensor, mask: Tensor, different: int) -> Tensor:
    """Return numbers (N, L) below ``different``, -1 in empty slots, as int8 if they fit, else int32."""
    kind = torch.int8 if different <= 128 else torch.int32
    return torch.where(mask, numbers, torch.full_like(numbers, -1)).to(kind)
