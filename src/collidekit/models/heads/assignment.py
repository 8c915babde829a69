"""Assignment of constituents to decay products: a probability for each way to fill the slots of a parent.

As in SPANet (arXiv:2106.03898), the slots of a parent are filled together and each parent separately; exchangeable slots are
symmetric by construction. There are two differences: a slot may be empty, so that events with a lost decay product can be used
for training, and the kinematics of pairs and triples of constituents enter the score.
"""

from collections.abc import Mapping
from functools import cached_property
from itertools import combinations as pairs_of
from math import prod

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.functional import silu

from collidekit.analysis.schema import Collection
from collidekit.analysis.targets import Assignment
from collidekit.dataset.batch import Input, Ragged
from collidekit.dataset.transfer import constant, send
from collidekit.errors import CollidekitError
from collidekit.models.combinations import Combinations, combinations
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Embedding, Network
from collidekit.models.padded import Padded, PaddedInput
from collidekit.models.pair_features import EPSILON, FEATURES, padded_pair_features
from collidekit.reconstruction.assignment import CELLS, best_assignment
from collidekit.reconstruction.assignment_by_sets import BITS, pairs_by_sets
from collidekit.reconstruction.assignment_in_graph import AssignmentSearch, check_fits

RANK = 32
"""Hidden units of each constituent and pair."""
SHARED = 16
"""Hidden units of each combination: the sum of terms of constituents, pairs and the mass of a triple."""
FULL = 1e4
"""Cost of an empty slot in logarithms of probabilities: larger than any difference of these."""
MOST_PAIRS = 1 << 26
"""Largest number of steps of the search for the best assignment of one event: a few seconds."""
CENTRE, WIDTH = (0.0, -2.0, 0.0, 6.0), (2.0, 2.0, 1.0, 3.0)
"""Approximate mean and width of ln kT, ln z, ln ΔR and ln m² of decay products."""


@frozen
class ParentScores:
    """Log-probabilities (N, C) of the ways to fill the slots of a parent; -inf for ways that are impossible in a row."""

    log_p: Tensor
    ways: Combinations

    @property
    def preferred(self) -> Tensor:
        """Return scores (N, C) in double precision, whose sum the best assignment maximises: filled slots, then probability."""
        return self.log_p.double() - FULL * self.ways.empty

    def probabilities(self, parent: str, number: Tensor, log_p: Tensor) -> dict[str, Tensor]:
        """Return the columns (N,) of the chosen way (N,), and of all ways without empty slots, in the precision of ``log_p``."""
        chosen = log_p.gather(1, number[:, None]).squeeze(1).exp()
        full = (self.ways.empty == 0).to(log_p.dtype)
        return {
            f"{parent}_assignment_probability": chosen,
            f"{parent}_detection_probability": (log_p.exp() * full).sum(dim=1).clamp(0, 1),
        }


Scores = dict[str, ParentScores]


class AssignmentHead(nn.Module):
    """Head of an assignment: embeddings -> scores of each parent."""

    def __init__(self, target: Assignment, inputs: Mapping[str, Collection], network: Network) -> None:
        super().__init__()
        _check_size(target, inputs)
        self.target = target
        self.limits = {name: inputs[name].limit for name in collections_used(target)}
        self.heads = NamedModules({parent: ParentHead(parent, target, inputs, network) for parent in target.parents})

    def decode(self, scores: Scores, inputs: Mapping[str, Input]) -> dict[str, Tensor]:
        """Return the columns (N,) of the best consistent assignment.

        ``index_<parent>_<slot>`` is the position of the constituent in the file, -1 if there are too few to fill all slots.
        ``<parent>_assignment_probability`` is the probability of this way to fill the slots of the parent, and
        ``<parent>_detection_probability`` the probability that all its decay products are in the event.
        """
        chosen = best_positions(self.target, scores)
        columns: dict[str, Tensor] = {}
        for parent, positions in chosen.items():
            for slot, position in zip(self.target.parents[parent], positions.unbind(1), strict=True):
                entry = inputs[self.target.collection_of(parent, slot)]
                assert isinstance(entry, Ragged)
                columns[f"index_{parent}_{slot}"] = _in_file(entry, position)
        for parent, score in scores.items():
            columns |= score.probabilities(parent, score.ways.number(chosen[parent]), score.log_p.double())
        return columns

    def padded(self, embedding: Embedding, inputs: Mapping[str, PaddedInput]) -> dict[str, Tensor]:
        """Return the columns of ``decode`` with operations that can be exported.

        ``index_<parent>_<slot>`` is the position of the constituent in the input of the graph, not in a file. Raises
        CollidekitError if there are too many assignments for a graph.
        """
        dense = {
            name: Dense.up_to(inputs[name], embedding.constituents[name], limit) for name, limit in self.limits.items()
        }
        scores = self._scores(embedding.row, dense)
        chosen = self.search.best([score.preferred for score in scores.values()])
        columns: dict[str, Tensor] = {}
        for (parent, score), number in zip(scores.items(), chosen.unbind(1), strict=True):
            for slot, position in zip(self.target.parents[parent], score.ways.positions.unbind(1), strict=True):
                columns[f"index_{parent}_{slot}"] = position.index_select(0, number)
        for (parent, score), number in zip(scores.items(), chosen.unbind(1), strict=True):
            columns |= score.probabilities(parent, number, score.log_p)
        return columns

    @cached_property
    def search(self) -> AssignmentSearch:
        """Return the search for the best assignment of collections with as many constituents as their limits."""
        names, slots = self.target.collections, [len(own) for own in self.target.parents.values()]
        check_fits(sum(self.limits[name] for name in names), slots, " and ".join(names))
        filled = []
        for parent, head in self.heads.items():
            own: list[str] = head.slots  # type: ignore[assignment]
            ways = head.ways(tuple(self.limits[name] for name in own))  # type: ignore[operator]
            filled.append(constituents_of(self.target, parent, ways).numpy())
        return AssignmentSearch.of(filled)

    def _scores(self, row: Tensor, dense: Mapping[str, "Dense"]) -> Scores:
        kinematics: dict[tuple[str, str], Tensor] = {}
        return {parent: head(row, dense, kinematics) for parent, head in self.heads.items()}

    def forward(self, embedding: Embedding, inputs: Mapping[str, Input]) -> Scores:
        dense = {name: Dense.of(inputs[name], embedding.constituents[name]) for name in collections_used(self.target)}
        return self._scores(embedding.row, dense)


def of_event(name: str, target: Assignment, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the columns (N,) of all parents of a target together, from those of each.

    Each parent has its own distribution. ``<target>_probability`` of the chosen assignment is therefore the product of its
    ``<parent>_assignment_probability``; its normalisation includes assignments in which a constituent is used twice.
    ``<target>_complete_probability`` is the product of ``<parent>_detection_probability``.
    """

    def product(kind: str) -> Tensor:
        return torch.stack([columns[f"{parent}_{kind}_probability"] for parent in target.parents]).prod(dim=0)

    return {f"{name}_probability": product("assignment"), f"{name}_complete_probability": product("detection")}


def _check_size(target: Assignment, inputs: Mapping[str, Collection]) -> None:
    """Raise CollidekitError if the best assignment of one event cannot be found in seconds."""
    ways = prod(
        inputs[target.collection_of(parent, slot)].limit + 1
        for parent, slots in target.parents.items()
        for slot in slots
    )
    constituents = sum(inputs[name].limit for name in target.collections)
    pairs = pairs_by_sets(constituents, [len(slots) for slots in target.parents.values()])
    if ways > CELLS and (pairs > MOST_PAIRS or constituents > BITS):
        raise CollidekitError(
            f"{len(target.parents)} parents of {' and '.join(target.collections)} with a limit of {constituents} have too many "
            "assignments to find the best one; lower the limit, or assign fewer parents"
        )


def best_positions(target: Assignment, scores: Scores) -> dict[str, Tensor]:
    """Return the positions (N, n) of the constituents in the slots of each parent, -1 for an empty slot.

    It is the most probable of all assignments that use no constituent twice and fill as many slots as possible.
    """
    filled = [constituents_of(target, parent, score.ways).cpu() for parent, score in scores.items()]
    chosen, _ = best_assignment([score.preferred.cpu() for score in scores.values()], filled)
    return {
        parent: score.ways.positions[send(number, score.log_p.device)]
        for (parent, score), number in zip(scores.items(), chosen.unbind(1), strict=True)
    }


def constituents_of(target: Assignment, parent: str, ways: Combinations) -> Tensor:
    """Return numbers (C, n) of the constituents of each way, unique over all collections; -1 for an empty slot."""
    numbers = {name: k << 20 for k, name in enumerate(target.collections)}
    first = constant([numbers[target.collection_of(parent, slot)] for slot in target.parents[parent]], ways.filled)
    return torch.where(ways.positions < 0, -1, ways.positions + first)


def _in_file(entry: Ragged, position: Tensor) -> Tensor:
    """Return the positions (N,) in the file, given positions among the kept constituents."""
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
    """A collection as a block: embeddings (N, L, W), momenta (N, L, 4) or None, and the number of constituents of rows (N,).

    Ways to fill slots are counted for ``size`` constituents. L equals ``size``, except in an exported graph, where L is free and
    the values of each constituent are padded to ``size``.
    """

    embedded: Tensor
    momenta: Tensor | None
    counts: Tensor
    size: int
    is_free: bool = False

    @classmethod
    def of(cls, entry: Input, embedded: Tensor) -> "Dense":
        assert isinstance(entry, Ragged)
        momenta = entry.padded(entry.momenta) if entry.has_momenta else None
        block = entry.padded(embedded)
        return cls(block, momenta, entry.counts, block.shape[1])

    @classmethod
    def up_to(cls, entry: PaddedInput, embedded: Tensor, size: int) -> "Dense":
        """Return the block of a padded collection of any length; at most ``size`` slots are used."""
        assert isinstance(entry, Padded)
        block = Padded(embedded * entry.there, entry.mask, embedded.shape[2]).leading(size)
        momenta = entry.leading(size).momenta if entry.has_momenta else None
        return cls(block.data, momenta, block.counts, size, is_free=True)

    def filled(self, values: Tensor, dim: int) -> Tensor:
        """Return values (..., L, ...) of its constituents, padded with 0 to ``size`` along a dimension."""
        if not self.is_free:
            return values
        behind = [0, 0] * (values.dim() - 1 - dim)
        return nn.functional.pad(values, (*behind, 0, self.size)).narrow(dim, 0, self.size)


class ParentHead(nn.Module):
    """Score of a combination: a small layer on the sum of terms of its constituents, its pairs, and the mass of all three.

    The larger layers act on constituents and pairs, because there are far fewer of them than combinations.
    """

    def __init__(self, parent: str, target: Assignment, inputs: Mapping[str, Collection], network: Network) -> None:
        super().__init__()
        self.slots = [target.collection_of(parent, slot) for slot in target.parents[parent]]
        self.alike = tuple(tuple(group) for group in target.alike(parent))
        self.partner = target.partner_of(parent)
        self.kinds = [next(k for k, group in enumerate(self.alike) if slot in group) for slot in range(len(self.slots))]
        widths = [network.width_of(self.slots[group[0]]) for group in self.alike]
        self.moving = moving = [bool(inputs[name].momenta) for name in self.slots]
        beside = [0, 0]
        if self.partner:
            beside = [network.width_of(self.partner[0]), bool(inputs[self.partner[0]].momenta)]
        self.pair_slots = list(pairs_of(range(len(self.slots)), 2))
        self.singles = nn.ModuleList(
            Single(width, network.row_width, beside[0], bool(beside[1]) and all(moving)) for width in widths
        )
        self.pairs = nn.ModuleDict(
            {
                self._pair(s, t): Pair(
                    (widths[self.kinds[s]], widths[self.kinds[t]]),
                    network.row_width,
                    moving[s] and moving[t],
                    self._alike(s, t),
                )
                for s, t in self.pair_slots
            }
        )
        triple = len(self.slots) == 3 and all(moving)
        self.mass = nn.Sequential(nn.Linear(1, SHARED), nn.SiLU(), nn.Linear(SHARED, SHARED)) if triple else None
        self.output = nn.Linear(SHARED, 1)

    def _pair(self, s: int, t: int) -> str:
        return f"{self.kinds[s]}_{self.kinds[t]}"

    def _alike(self, s: int, t: int) -> bool:
        return self.kinds[s] == self.kinds[t]

    def _features(
        self, s: int, t: int, dense: Mapping[str, "Dense"], known: dict[tuple[str, str], Tensor]
    ) -> Tensor | None:
        """Return the pair features of the collections of two slots; all parents use the same."""
        key = self.slots[s], self.slots[t]
        if not self.moving[s] or not self.moving[t]:
            return None
        if key not in known:
            known[key] = _pairs(dense[key[0]], dense[key[1]])
        return known[key]

    def ways(self, sizes: tuple[int, ...]) -> Combinations:
        """Return all ways to fill the slots from collections of these sizes."""
        return combinations(sizes, self.alike, tuple(self.slots))

    def forward(
        self, row: Tensor, dense: Mapping[str, Dense], kinematics: dict[tuple[str, str], Tensor]
    ) -> ParentScores:
        own = [dense[name] for name in self.slots]
        sizes = tuple(entry.size for entry in own)
        ways = self.ways(sizes).to(row.device)
        columns = ways.filled.unbind(1)
        partner = None
        if self.partner:
            embedded, momenta = _constituent(dense[self.partner[0]], self.partner[1])
            partner = Dense(embedded[:, None], None if momenta is None else momenta[:, None], own[0].counts, 1)
        hidden: Tensor | float = 0.0  # (N, C, SHARED)
        for entry, kind, filled in zip(own, self.kinds, columns, strict=True):
            hidden = hidden + self.singles[kind](entry, row, partner).index_select(1, filled)
        known: dict[tuple[str, str, str], Tensor] = {}
        for s, t in self.pair_slots:
            key = self._pair(s, t), self.slots[s], self.slots[t]
            if key not in known:  # (N, L, L', SHARED)
                pair = self.pairs[key[0]](own[s], own[t], row, self._features(s, t, dense, kinematics))
                known[key] = own[t].filled(own[s].filled(pair, 1), 2)
            flat = nn.functional.pad(known[key], (0, 0, 0, 1, 0, 1)).reshape(
                row.shape[0], (sizes[s] + 1) * (sizes[t] + 1), SHARED
            )
            hidden = hidden + flat.index_select(1, columns[s] * (sizes[t] + 1) + columns[t])
        if self.mass is not None:
            hidden = hidden + self.mass(_log_mass(own, ways)) * (ways.empty == 0)[:, None]
        assert isinstance(hidden, Tensor)
        scores: Tensor = self.output(silu(hidden)).squeeze(2)
        scores = scores if scores.dtype == torch.float64 else scores.float()
        possible = ways.possible(torch.stack([entry.counts for entry in own], dim=1))
        return ParentScores(scores.masked_fill(~possible, -torch.inf).log_softmax(dim=1), ways)


class Single(nn.Module):
    """Term of each constituent in a slot (last: an empty slot) in the hidden layer (N, L + 1, SHARED)."""

    def __init__(self, width: int, row_width: int, beside: int, moving: bool) -> None:
        super().__init__()
        self.own, self.row = nn.Linear(width, RANK), nn.Linear(row_width, RANK, bias=False)
        self.beside = nn.Linear(beside, RANK, bias=False) if beside else None
        self.kinematics = nn.Linear(len(FEATURES), RANK, bias=False) if moving else None
        self.inner = nn.Linear(RANK, RANK)
        self.output, self.absent = nn.Linear(RANK, SHARED), nn.Linear(row_width, SHARED)

    def forward(self, entry: Dense, row: Tensor, partner: Dense | None) -> Tensor:
        hidden = self.own(entry.embedded) + self.row(row)[:, None]
        if partner is not None and self.beside is not None:
            hidden = hidden + self.beside(partner.embedded)
            if self.kinematics is not None:
                hidden = hidden + self.kinematics(_pairs(entry, partner)).squeeze(2)
        there = entry.filled(self.output(silu(self.inner(silu(hidden)))), 1)
        return torch.cat([there, self.absent(row)[:, None]], dim=1)


class Pair(nn.Module):
    """Term of two constituents in two slots (N, L, L', SHARED); symmetric if the slots are exchangeable."""

    def __init__(self, widths: tuple[int, int], row_width: int, moving: bool, alike: bool) -> None:
        super().__init__()
        self.sums = nn.ModuleList([nn.Linear(widths[0], RANK)] + [nn.Linear(widths[1], RANK)] * (not alike))
        self.products = nn.ModuleList([nn.Linear(widths[0], RANK)] + [nn.Linear(widths[1], RANK)] * (not alike))
        self.row = nn.Linear(row_width, RANK, bias=False)
        self.kinematics = nn.Linear(len(FEATURES), RANK, bias=False) if moving else None
        self.output = nn.Linear(RANK, SHARED)

    def forward(self, one: Dense, two: Dense, row: Tensor, features: Tensor | None) -> Tensor:
        sums = self.sums[0](one.embedded)[:, :, None] + self.sums[-1](two.embedded)[:, None]
        products = self.products[0](one.embedded)[:, :, None] * self.products[-1](two.embedded)[:, None]
        hidden = sums + products + self.row(row)[:, None, None]  # (N, L, L', RANK)
        if self.kinematics is not None:
            hidden = hidden + self.kinematics(features)
        found: Tensor = self.output(silu(hidden))
        return found


def _log_mass(own: list[Dense], ways: Combinations) -> Tensor:
    """Return ln m² (N, C, 1) of the three constituents of each combination, shifted to be about 0 at 150 GeV."""
    momenta = [
        nn.functional.pad(entry.filled(_moving(entry), 1).double(), (0, 0, 0, 1)).index_select(1, filled)
        for entry, filled in zip(own, ways.filled.unbind(1), strict=True)
    ]
    total = momenta[0] + momenta[1] + momenta[2]
    mass = total[..., 3].square() - total[..., :3].square().sum(dim=-1)
    logarithm: Tensor = mass.clamp(min=EPSILON).log() - 10.0
    return logarithm.to(_moving(own[0]).dtype)[..., None]


def _moving(entry: Dense) -> Tensor:
    assert entry.momenta is not None
    return entry.momenta


def _pairs(one: Dense, two: Dense) -> Tensor:
    """Return the scaled pair features (N, L, L', 4) of the constituents of two collections."""
    found = padded_pair_features(_moving(one), _moving(two))
    scaled = (found - constant(CENTRE, found)) / constant(WIDTH, found)
    return scaled.to(_moving(one).dtype)


def _constituent(entry: Dense, place: int) -> tuple[Tensor, Tensor | None]:
    """Return embedding (N, W) and momentum (N, 4) of the constituent at a position of each row; 0 if a row has fewer."""
    missing = place + 1 if entry.is_free else max(place + 1 - entry.size, 0)
    embedded = nn.functional.pad(entry.embedded, (0, 0, 0, missing))[:, place]
    momenta = None if entry.momenta is None else nn.functional.pad(entry.momenta, (0, 0, 0, missing))[:, place]
    return embedded, momenta
