"""Which constituent is which decay product: a probability for each way to fill the slots of a parent.

As in SPANet (arXiv:2106.03898) the slots of a parent are filled together and each parent by itself; what may be exchanged is
symmetric by construction. Other than there, an empty slot is one more way to fill it, so that events of which a decay product
was lost are learned from like all others, and the kinematics of pairs and triples of constituents enter the score.
"""

from collections.abc import Mapping
from itertools import combinations as pairs_of

import torch
from attrs import frozen
from torch import Tensor, nn

from collidekit.analysis.schema import Collection
from collidekit.analysis.targets import Assignment
from collidekit.dataset.batch import Input, Ragged
from collidekit.models.combinations import Combinations, combinations
from collidekit.models.network import Embedding, Network
from collidekit.models.pair_features import EPSILON, FEATURES, pair_features
from collidekit.reconstruction.assignment import best_assignment

RANK = 32
"""Hidden units for each combination."""
FULL = 1e4
"""What an empty slot costs, in logarithms of probabilities: more than any of these can make good."""
CENTRE, WIDTH = (0.0, -2.0, 0.0, 6.0), (2.0, 2.0, 1.0, 3.0)
"""About where ln kT, ln z, ln ΔR and ln m² of decay products lie, and how far they spread."""


@frozen
class ParentScores:
    """Log-probabilities (N, C) of the ways to fill the slots of a parent; those that a row does not have are -inf."""

    log_p: Tensor
    ways: Combinations


Scores = dict[str, ParentScores]


class AssignmentHead(nn.Module):
    """Embeddings -> the scores of each parent."""

    def __init__(self, target: Assignment, inputs: Mapping[str, Collection], network: Network) -> None:
        super().__init__()
        self.target = target
        self.heads = nn.ModuleDict({parent: ParentHead(parent, target, inputs, network) for parent in target.parents})

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what ``decode`` gives."""
        return columns_of(self.target)

    def decode(self, scores: Scores, inputs: Mapping[str, Input]) -> dict[str, Tensor]:
        """Return the columns (N,) of the best consistent assignment.

        ``index_<parent>_<slot>`` is the position of the constituent in the file, -1 where there are too few to fill all slots.
        ``<parent>_assignment_probability`` is that of this way to fill the slots of the parent, and
        ``<parent>_detection_probability`` that all its decay products are in the event.
        """
        chosen = best_positions(self.target, scores)
        columns: dict[str, Tensor] = {}
        for parent, positions in chosen.items():
            for slot, position in zip(self.target.parents[parent], positions.unbind(1), strict=True):
                entry = inputs[self.target.collection_of(parent, slot)]
                assert isinstance(entry, Ragged)
                columns[f"index_{parent}_{slot}"] = _in_file(entry, position)
        for parent, score in scores.items():
            number = score.ways.number(chosen[parent])
            columns[f"{parent}_assignment_probability"] = (
                score.log_p.gather(1, number[:, None]).squeeze(1).double().exp()
            )
            missing = score.log_p[:, score.ways.empty > 0].double().exp().sum(dim=1)
            columns[f"{parent}_detection_probability"] = (1 - missing).clamp(0, 1)
        return columns

    def forward(self, embedding: Embedding, inputs: Mapping[str, Input]) -> Scores:
        dense = {name: Dense.of(inputs[name], embedding.constituents[name]) for name in collections_used(self.target)}
        return {parent: head(embedding.row, dense) for parent, head in self.heads.items()}


def columns_of(target: Assignment) -> tuple[str, ...]:
    """Return the names of the columns of predictions that a target has."""
    indices = [f"index_{name}" for name in target.values]
    kinds = ("assignment", "detection")
    return (*indices, *(f"{parent}_{kind}_probability" for parent in target.parents for kind in kinds))


def best_positions(target: Assignment, scores: Scores) -> dict[str, Tensor]:
    """Return the positions (N, n) of the constituents in the slots of each parent, -1 for a slot that stays empty.

    As many slots as possible are filled; of all such assignments in which no constituent stands twice, the most probable.
    """
    numbers = {name: k << 20 for k, name in enumerate(target.collections)}
    filled, preferred = [], []
    for parent, score in scores.items():
        ways = score.ways
        empty = ways.filled == ways.filled.new_tensor(ways.sizes)
        first = ways.filled.new_tensor([numbers[target.collection_of(parent, slot)] for slot in target.parents[parent]])
        filled.append(torch.where(empty, -1, ways.filled + first))
        preferred.append(score.log_p.double() - FULL * ways.empty)
    chosen, _ = best_assignment(preferred, filled)
    return {
        parent: _positions(score.ways, number)
        for (parent, score), number in zip(scores.items(), chosen.unbind(1), strict=True)
    }


def _positions(ways: Combinations, number: Tensor) -> Tensor:
    found = ways.filled[number]
    return torch.where(found == found.new_tensor(ways.sizes), -1, found)


def _in_file(entry: Ragged, position: Tensor) -> Tensor:
    """The positions (N,) in the file of constituents at positions among those that were kept."""
    if entry.targets is None:
        return position
    there = position >= 0
    index = (entry.offsets[:-1] + position)[there]
    return position.masked_scatter(there, entry.targets[index, -1].to(position))


def collections_used(target: Assignment) -> list[str]:
    """Return the collections whose embeddings a target needs."""
    partners = [target.partner_of(parent) for parent in target.partners]
    return list(dict.fromkeys([*target.collections, *(partner[0] for partner in partners if partner)]))


@frozen
class Dense:
    """A collection as a block of rows: embeddings (N, L, W), momenta (N, L, 4) or None, and the constituents of each row (N,)."""

    embedded: Tensor
    momenta: Tensor | None
    counts: Tensor

    @classmethod
    def of(cls, entry: Input, embedded: Tensor) -> "Dense":
        assert isinstance(entry, Ragged)
        counts = entry.counts
        places = torch.arange(int(counts.max()) if len(counts) else 0, device=counts.device)
        there = places < counts[:, None]  # (N, L)
        index = (entry.offsets[:-1, None] + places)[there]

        def spread(values: Tensor) -> Tensor:
            block = values.new_zeros(*there.shape, values.shape[1])
            return block.masked_scatter(there[:, :, None], values.index_select(0, index))

        return cls(spread(embedded), spread(entry.momenta) if entry.has_momenta else None, counts)

    @property
    def size(self) -> int:
        return self.embedded.shape[1]


class ParentHead(nn.Module):
    """The score of a combination: a layer of what its constituents, their products, pairs, and the row have to say."""

    def __init__(self, parent: str, target: Assignment, inputs: Mapping[str, Collection], network: Network) -> None:
        super().__init__()
        self.slots = [target.collection_of(parent, slot) for slot in target.parents[parent]]
        self.alike = tuple(tuple(group) for group in target.alike(parent))
        self.partner = target.partner_of(parent)
        self.kinds = [next(k for k, group in enumerate(self.alike) if slot in group) for slot in range(len(self.slots))]
        widths = [network.width_of(self.slots[group[0]]) for group in self.alike]
        self.sums = nn.ModuleList(nn.Linear(width, RANK) for width in widths)
        self.products = nn.ModuleList(nn.Linear(width, RANK, bias=False) for width in widths)
        self.absent = nn.Parameter(torch.zeros(len(widths), RANK))
        self.row = nn.Linear(network.row_width, RANK, bias=False)
        moving = [bool(inputs[name].momenta) for name in self.slots]
        self.moving_pairs = [(s, t) for s, t in pairs_of(range(len(self.slots)), 2) if moving[s] and moving[t]]
        self.pairs = nn.ModuleDict({self._pair(s, t): _kinematics(len(FEATURES)) for s, t in self.moving_pairs})
        self.triple = _kinematics(1) if len(self.slots) == 3 and all(moving) else None
        self.beside = self.beside_pairs = None
        if self.partner:
            self.beside = nn.Linear(network.width_of(self.partner[0]), RANK, bias=False)
            if inputs[self.partner[0]].momenta and all(moving):
                self.beside_pairs = nn.ModuleList(_kinematics(len(FEATURES)) for _ in widths)
        self.output = nn.Sequential(nn.SiLU(), nn.Linear(RANK, 1))

    def _pair(self, s: int, t: int) -> str:
        return "_".join(map(str, sorted((self.kinds[s], self.kinds[t]))))

    def forward(self, row: Tensor, dense: Mapping[str, Dense]) -> ParentScores:
        own = [dense[name] for name in self.slots]
        sizes = tuple(entry.size for entry in own)
        ways = combinations(sizes, self.alike, tuple(self.slots)).to(row.device)
        columns = ways.filled.unbind(1)
        hidden = self._of_row(row, dense)[:, None]  # (N, 1, RANK)
        products = []
        for slot, (entry, kind, filled) in enumerate(zip(own, self.kinds, columns, strict=True)):
            sums = self.sums[kind](entry.embedded) + self._beside(slot, entry, dense)
            absent = self.absent[kind].to(sums).expand(len(sums), 1, -1)
            hidden = hidden + torch.cat([sums, absent], dim=1).index_select(1, filled)
            products.append(_with_none(self.products[kind](entry.embedded)).index_select(1, filled))
        for s, t in pairs_of(range(len(own)), 2):
            hidden = hidden + products[s] * products[t]
        if len(own) == 3:
            hidden = hidden + products[0] * products[1] * products[2]
        for s, t in self.moving_pairs:
            found = self.pairs[self._pair(s, t)](_pairs(own[s], own[t]))  # (N, L, L', RANK)
            flat = nn.functional.pad(found, (0, 0, 0, 1, 0, 1)).flatten(1, 2)
            hidden = hidden + flat.index_select(1, columns[s] * (sizes[t] + 1) + columns[t])
        if self.triple is not None:
            hidden = hidden + self._triple(own, ways)
        scores = self.output(hidden).squeeze(2)
        scores = scores if scores.dtype == torch.float64 else scores.float()
        possible = ways.possible(torch.stack([entry.counts for entry in own], dim=1))
        return ParentScores(scores.masked_fill(~possible, -torch.inf).log_softmax(dim=1), ways)

    def _of_row(self, row: Tensor, dense: Mapping[str, Dense]) -> Tensor:
        found: Tensor = self.row(row)
        if self.beside is not None and self.partner is not None:
            embedded, _ = _constituent(dense[self.partner[0]], self.partner[1])
            found = found + self.beside(embedded)
        return found

    def _beside(self, slot: int, entry: Dense, dense: Mapping[str, Dense]) -> Tensor | float:
        """What each constituent (N, L, RANK) has in common with the partner."""
        if self.beside_pairs is None or self.partner is None:
            return 0.0
        _, momenta = _constituent(dense[self.partner[0]], self.partner[1])
        assert momenta is not None
        partner = Dense(momenta[:, None], momenta[:, None], entry.counts)
        found: Tensor = self.beside_pairs[self.kinds[slot]](_pairs(entry, partner)).squeeze(2)
        return found

    def _triple(self, own: list[Dense], ways: Combinations) -> Tensor:
        """What the mass of all three (N, C, RANK) says; nothing where one is missing."""
        assert self.triple is not None
        momenta = sum(
            _with_none(_moving(entry)).index_select(1, filled)
            for entry, filled in zip(own, ways.filled.unbind(1), strict=True)
        )
        assert isinstance(momenta, Tensor)
        precise = momenta.double()
        mass = precise[..., 3].square() - precise[..., :3].square().sum(dim=-1)
        logarithm = (mass.clamp(min=EPSILON).log() - 2 * 5.0).to(momenta.dtype)[..., None]  # around 150 GeV
        found: Tensor = self.triple(logarithm)
        return found * (ways.empty == 0)[:, None].to(found)


def _kinematics(features: int) -> nn.Module:
    return nn.Sequential(nn.Linear(features, RANK), nn.SiLU(), nn.Linear(RANK, RANK))


def _with_none(values: Tensor) -> Tensor:
    """Values (N, L, F), and 0 behind them for the slot that is empty."""
    return nn.functional.pad(values, (0, 0, 0, 1))


def _moving(entry: Dense) -> Tensor:
    assert entry.momenta is not None
    return entry.momenta


def _pairs(one: Dense, two: Dense) -> Tensor:
    """The scaled pair features (N, L, L', 4) of the constituents of two collections."""
    a, b = _moving(one), _moving(two)
    (rows, first, _), second = a.shape, b.shape[1]
    places = torch.arange(rows * first, device=a.device)
    i = places.repeat_interleave(second)
    row = torch.div(i, max(first, 1), rounding_mode="floor")
    j = rows * first + row * second + torch.arange(second, device=a.device).repeat(rows * first)
    found = pair_features(torch.cat([a.reshape(-1, 4), b.reshape(-1, 4)]), i, j) if len(i) else a.new_zeros(0, 4)
    scaled = (found - found.new_tensor(CENTRE)) / found.new_tensor(WIDTH)
    return scaled.to(a.dtype).view(rows, first, second, 4)


def _constituent(entry: Dense, place: int) -> tuple[Tensor, Tensor | None]:
    """Embedding (N, W) and momentum (N, 4) of the constituent at a place of each row, 0 where a row has fewer."""
    missing = place + 1 - entry.size
    embedded = nn.functional.pad(entry.embedded, (0, 0, 0, max(missing, 0)))[:, place]
    momenta = None if entry.momenta is None else nn.functional.pad(entry.momenta, (0, 0, 0, max(missing, 0)))[:, place]
    return embedded, momenta
