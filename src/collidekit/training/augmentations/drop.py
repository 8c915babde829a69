"""Augmentations: constituents are lost, each with the same probability, or those below a threshold."""

from collections.abc import Sequence

import torch
from attrs import evolve
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.consistency.changes import Rules
from collidekit.consistency.dependents import Dependents
from collidekit.consistency.lists import Lists
from collidekit.consistency.momenta import momentum_names, named
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.statistics import Statistics
from collidekit.errors import CollidekitError


class Drop:
    """Loss of each constituent with probability ``strength``; at least one constituent of a row is kept.

    The partner of a parent and all constituents before it are kept, too, because partners are identified by their position.
    Numbers of constituents, and everything else that the analysis computes from all constituents, are computed again.
    """

    def __init__(self, analysis: Analysis, statistics: Statistics, strength: float, what: str = "drop") -> None:
        self.strength = strength
        plan = Plan(analysis)
        self.collections = self._chosen(analysis, what)
        self.partners = _partners(analysis)
        self.names = {
            name: momentum_names(plan, name) for name in self.collections if analysis.collections[name].momenta
        }
        known = frozenset(name for parts in self.names.values() for name in parts)
        lists = _lists(plan, self.collections)
        lists |= {part: frozenset({name}) for name, parts in self.names.items() for part in parts}
        rules = Rules(plan, known, frozenset(), True, lists)
        self.dependents = Dependents(f"augmentation {what}", analysis, rules)

    def _chosen(self, analysis: Analysis, what: str) -> list[str]:
        if not analysis.collections:
            raise CollidekitError(f"augmentation {what}: the analysis has no collection of constituents")
        return list(analysis.collections)

    def _kept(self, entry: Ragged) -> Tensor:
        """Return which constituents are kept (T,)."""
        drawn = torch.rand(len(entry.data))
        return with_one_each(drawn >= self.strength, drawn, entry)

    def __call__(self, batch: Batch) -> Batch:
        after: dict[str, Ragged] = {}
        kept: dict[str, Tensor] = {}
        old: dict[str, Lists] = {}
        new: dict[str, Lists] = {}
        for name in self.collections:
            entry = batch.inputs[name]
            assert isinstance(entry, Ragged)
            kept[name] = self._kept(entry)
            if name in self.partners:
                places = torch.arange(len(entry.data)) - entry.offsets[entry.rows]
                kept[name] |= places <= self.partners[name]
            after[name] = without(entry, kept[name])
            if name in self.names:
                old |= named(entry, entry.momenta.double(), self.names[name])
                new |= named(after[name], after[name].momenta.double(), self.names[name])
        return self.dependents(batch, after, old, new, kept)


class Threshold(Drop):
    """Loss of all constituents below a transverse momentum that is drawn for each row uniformly from [0, ``strength``] GeV.

    The constituent with the largest transverse momentum of a row is kept.
    """

    def __init__(self, analysis: Analysis, statistics: Statistics, strength: float) -> None:
        super().__init__(analysis, statistics, strength, "threshold")

    def _chosen(self, analysis: Analysis, what: str) -> list[str]:
        found = [name for name, entry in analysis.collections.items() if entry.momenta]
        if not found:
            raise CollidekitError(f"augmentation {what}: no collection of the analysis has momenta to change")
        return found

    def _kept(self, entry: Ragged) -> Tensor:
        pt = torch.hypot(entry.momenta[:, 0], entry.momenta[:, 1])
        threshold = self.strength * torch.rand(len(entry))
        return with_one_each(pt >= threshold[entry.rows], pt, entry)


def with_one_each(kept: Tensor, order: Tensor, entry: Ragged) -> Tensor:
    """Return ``kept``; in rows without a kept constituent, the one with the largest ``order (T,)`` is kept."""
    largest = order.new_full((len(entry),), -torch.inf).scatter_reduce_(0, entry.rows, order, "amax")
    some = torch.zeros(len(entry), dtype=torch.bool).index_put_((entry.rows[kept],), torch.tensor(True))
    return kept | (~some[entry.rows] & (order == largest[entry.rows]))


def without(entry: Ragged, kept: Tensor) -> Ragged:
    """Return the collection with the kept constituents (T,) only."""
    total = torch.cat([torch.zeros(1, dtype=torch.int64), kept.cumsum(0)])
    targets = None if entry.targets is None else entry.targets[kept]
    return evolve(entry, data=entry.data[kept], offsets=total[entry.offsets], targets=targets)


def _partners(analysis: Analysis) -> dict[str, int]:
    """Return the last position in each collection that is the partner of a parent."""
    found: dict[str, int] = {}
    for target in analysis.assignments.values():
        for collection, place in filter(None, map(target.partner_of, target.partners)):
            found[collection] = max(place, found.get(collection, 0))
    return found


def _lists(plan: Plan, collections: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return the names of lists in the file, each with the collections that are made from it."""
    single = {
        expression.text
        for place, expression in plan.expressions.items()
        if place[0] in ("spectators", "kinematics", "event")
        or place[:2] in {("inputs", name) for name in plan.analysis.groups}
    }
    found: dict[str, frozenset[str]] = {}
    for name in collections:
        for leaf in plan.leaves(plan.under("inputs", name)):
            if leaf not in single:
                found[leaf] = found.get(leaf, frozenset()) | {name}
    return found
