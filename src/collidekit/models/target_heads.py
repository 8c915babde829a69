"""What a tagger says of the targets of constituents: their class, and which pairs of them come from one vertex.

As in GN1 and GN2 (ATL-PHYS-PUB-2022-027; arXiv 2505.19689): small networks of the embeddings of constituents and row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from collidekit.analysis.schema import Collection
from collidekit.analysis.targets import Assignment, MemberClasses, MemberTarget
from collidekit.dataset.batch import Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.models.heads.assignment import AssignmentHead, Scores
from collidekit.models.layers import mlp, whole_blocks
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Embedding, Network
from collidekit.models.packing import pairs
from collidekit.models.padded import PaddedInput

PAIRS = 1 << 18
"""Pairs that are looked at together: what lies between them and their logits is held for no more than that."""


class TargetHeads(nn.Module):
    """The logits of each target: (T, classes) for classes, (P,) for the pairs of ``packing.pairs``, ``Scores`` of assignments."""

    def __init__(
        self, targets: Mapping[str, MemberTarget | Assignment], inputs: Mapping[str, Collection], network: Network
    ) -> None:
        super().__init__()
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
        """Return the scores of the assignments alone."""
        return {name: self.heads[name](embedding, inputs) for name in self.assignments}

    @property
    def constituent_columns(self) -> dict[str, str]:
        """The columns of ``padded`` that have a number for each constituent (N, L), and the collection of these."""
        return {}

    def padded(self, embedding: Embedding, inputs: Mapping[str, PaddedInput]) -> dict[str, Tensor]:
        """Return the columns of all targets, for an embedding and inputs in the padded form."""
        raise CollidekitError("targets of constituents cannot be exported yet")

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
    """A network of the constituent and its row side by side; the row's part of the first layer is taken once a row."""

    def __init__(self, width: int, row_width: int, layers: Sequence[int], classes: int) -> None:
        super().__init__()
        self.constituent = nn.Linear(width, layers[0])
        self.row = nn.Linear(row_width, layers[0], bias=False)
        self.rest = nn.Sequential(nn.ReLU(), mlp([*layers, classes], last=False))

    def forward(self, constituents: Tensor, row: Tensor, entry: Ragged) -> Tensor:
        first = _each(self.constituent, constituents) + self.row(row).index_select(0, entry.rows)
        return _each(self.rest, first)  # (T, classes)


class PairHead(nn.Module):
    """A network of a pair of constituents and their row, the same in either order.

    GN2 gives [x_i, x_j, row] to its network in both orders. Here the first layer is A x_i + A x_j + (B x_i)(B x_j) + C row:
    each pair is taken once, and matrices are multiplied once a constituent.
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

    def _logits(self, sums: Tensor, products: Tensor, i: Tensor, j: Tensor) -> Tensor:
        first = sums.index_select(0, i) + sums.index_select(0, j)
        first = first + products.index_select(0, i) * products.index_select(0, j)
        return _each(self.rest, first).squeeze(1)  # (P,)


def _each(layer: nn.Module, values: Tensor) -> Tensor:
    """A layer of each constituent or pair, in whole blocks where that matters."""
    whole, _ = whole_blocks(values, torch.tensor([0]))
    return layer(whole)[: len(values)]  # type: ignore[no-any-return]
