"""Losses and scores of each kind of target.

As in GN1 and GN2 (ATL-PHYS-PUB-2022-027; arXiv 2505.19689), the losses are added to the loss of the classes, each with
its weight.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.analysis.targets import (
    PLACE,
    Assignment,
    MemberClasses,
    MemberTarget,
    Regression,
    RowTarget,
    Target,
)
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.targets import UNKNOWN
from collidekit.models.heads import RegressionHead
from collidekit.models.heads.assignment import Scores, best_positions
from collidekit.models.packing import pairs
from collidekit.objectives.assignment_terms import focal_cross_entropy, used_twice
from collidekit.objectives.densities import density_losses
from collidekit.objectives.momenta import MomentaLoss
from collidekit.ranks.group import ONE, Ranks, current

CUT = -2
"""Position of a decay product that is in the event but not among the kept constituents."""


class TargetLoss(Protocol):
    """Loss of one kind of target; its entries are constituents, pairs of constituents, or rows."""

    def truth(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return for each entry (T,) the truth, whether it is known, and the row."""

    def losses(self, raw: Any, truth: Tensor) -> Tensor:
        """Return the loss of each entry (T,)."""

    def counts(self, raw: Any, truth: Tensor, weights: Tensor) -> list[Tensor]:
        """Return sums of the event weights (T,) of entries, 0 for unknown truth; ``scores`` computes numbers from them."""

    def scores(self, name: str, known: float, counts: list[float]) -> dict[str, float]:
        """Return the scores by name; ``known`` is the sum of the weights of all entries with known truth."""


class _OfMembers:
    """Base of losses of targets of constituents."""

    def __init__(self, name: str, target: MemberTarget, analysis: Analysis) -> None:
        self.collection = target.collection
        self.column = analysis.target_columns(target.collection).index(name)

    def members(self, batch: Batch) -> tuple[Tensor, Ragged]:
        entry = batch.inputs[self.collection]
        assert isinstance(entry, Ragged)
        assert entry.targets is not None
        return entry.targets[:, self.column].long(), entry


class ClassesLoss(_OfMembers):
    """Cross entropy of the class of each constituent; ``<target>_accuracy`` is the fraction of correct ones."""

    def truth(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        truth, entry = self.members(batch)
        return truth, truth >= 0, entry.rows

    def losses(self, raw: Tensor, truth: Tensor) -> Tensor:
        return F.cross_entropy(_single(raw), truth.clamp(min=0), reduction="none")

    def counts(self, raw: Tensor, truth: Tensor, weights: Tensor) -> list[Tensor]:
        return [((raw.argmax(dim=1) == truth) * weights).sum()]

    def scores(self, name: str, known: float, counts: list[float]) -> dict[str, float]:
        return {f"{name}_accuracy": _ratio(counts[0], known)}


class PairsLoss(_OfMembers):
    """Binary cross entropy of whether both constituents of a pair have the same origin.

    ``<target>_efficiency`` is the fraction of pairs of the same origin with a probability above 1/2, ``<target>_purity`` the
    fraction of pairs above 1/2 that have the same origin.
    """

    def truth(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        truth, entry = self.members(batch)
        i, j = pairs(entry.offsets)
        a, b = truth[i], truth[j]
        return (a == b) & (a >= 0), (a != UNKNOWN) & (b != UNKNOWN), entry.rows[i]

    def losses(self, raw: Tensor, truth: Tensor) -> Tensor:
        raw = _single(raw)
        return F.binary_cross_entropy_with_logits(raw, truth.to(raw), reduction="none")

    def counts(self, raw: Tensor, truth: Tensor, weights: Tensor) -> list[Tensor]:
        found = raw > 0
        return [((found & truth) * weights).sum(), (truth * weights).sum(), (found * weights).sum()]

    def scores(self, name: str, known: float, counts: list[float]) -> dict[str, float]:
        right, true, found = counts
        return {f"{name}_efficiency": _ratio(right, true), f"{name}_purity": _ratio(right, found)}


class ValuesLoss:
    """Loss of the values of each row: mean Huber, squared or absolute loss of scaled values, or a loss of ``densities``.

    ``<value>_rms`` is the root of the mean squared residual of a value, in the unit of the target.
    """

    def __init__(self, name: str, target: Regression, head: RegressionHead) -> None:
        self.name, self.target, self.head = name, target, head

    def truth(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        values = batch.truth[self.name]
        return values, values.isfinite().all(dim=1), torch.arange(len(values), device=values.device)

    def losses(self, raw: Tensor, truth: Tensor) -> Tensor:
        raw = _single(raw)
        if self.target.estimate != "value":
            return density_losses(self.head, raw, truth)
        scaled = self.head.scaled(truth.nan_to_num(1.0)).to(raw)  # unknown values are not counted
        kinds: dict[str, Any] = {"huber": F.huber_loss, "mse": F.mse_loss, "mae": F.l1_loss}
        found: Tensor = kinds[self.target.loss](raw, scaled, reduction="none").mean(dim=1)
        return found

    def counts(self, raw: Tensor, truth: Tensor, weights: Tensor) -> list[Tensor]:
        estimates = self.head.estimates(raw)
        squares = torch.where(weights[:, None] != 0, (estimates - truth) ** 2, 0.0)
        return list((squares * weights[:, None]).sum(dim=0))

    def scores(self, name: str, known: float, counts: list[float]) -> dict[str, float]:
        found = zip(self.target.values, counts, strict=True)
        return {f"{value}_rms": _root(_ratio(total, known)) for value, total in found}


class AssignmentLoss:
    """Cross entropy of the true way to fill the slots of each parent, summed over parents.

    It is the smallest one over the orders of exchangeable parents (arXiv:2106.03898, eq. 7). A focal factor and a cost for
    constituents that are used twice are optional. ``<target>_efficiency`` is the fraction of rows with all decay products in which
    the best assignment is completely correct. A decay product that ``where`` or ``limit`` removed is an empty slot in the loss,
    and counts as wrong.
    """

    def __init__(self, name: str, target: Assignment, analysis: Analysis) -> None:
        self.name, self.target = name, target
        self.orders = target.exchanges()
        self.columns = {c: analysis.target_columns(c).index(PLACE) for c in target.collections}

    def truth(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return positions (N, slots) among the kept constituents; -1 for none, CUT for one that is not kept."""
        positions = batch.truth[self.name]
        known = positions.isfinite().all(dim=1)
        found, column = [], 0
        for parent, slots in self.target.parents.items():
            for slot in slots:
                entry = batch.inputs[collection := self.target.collection_of(parent, slot)]
                assert isinstance(entry, Ragged)
                assert entry.targets is not None
                wanted = positions[:, column].nan_to_num(-1.0).long()
                here = entry.targets[:, self.columns[collection]] == wanted.index_select(0, entry.rows)
                local = torch.arange(len(entry.data), device=wanted.device) - entry.offsets[:-1].index_select(
                    0, entry.rows
                )
                row = torch.where(
                    here, entry.rows, len(wanted)
                )  # positions that are not needed are put into a row beyond the last
                place = F.pad(torch.where(wanted < 0, -1, CUT), (0, 1)).index_copy(0, row, local)
                found.append(place[:-1])
                column += 1
        return torch.stack(found, dim=1), known, torch.arange(len(positions), device=positions.device)

    def _numbers(self, raw: Scores, truth: Tensor) -> list[dict[str, Tensor]]:
        """Return the true way (N,) to fill the slots of each parent, for each order of exchangeable parents."""
        sizes = [len(slots) for slots in self.target.parents.values()]
        positions = dict(zip(self.target.parents, truth.split(sizes, dim=1), strict=True))  # type: ignore[no-untyped-call]
        return [
            {
                parent: raw[parent].ways.number(positions[other])
                for parent, other in zip(self.target.parents, order, strict=True)
            }
            for order in self.orders
        ]

    def losses(self, raw: Scores, truth: Tensor) -> Tensor:
        each = [
            sum(
                focal_cross_entropy(raw[parent].log_p.gather(1, number[:, None]).squeeze(1), self.target.focal)
                for parent, number in numbers.items()
            )
            for numbers in self._numbers(raw, truth)
        ]
        found = torch.stack(each).amin(dim=0)  # type: ignore[arg-type]
        weight = self.target.exclusivity
        return found + weight * used_twice(self.target, raw) if weight else found

    def right(self, raw: Scores, truth: Tensor) -> Tensor:
        """Return the rows (N,) in which all decay products are kept and the best assignment is correct."""
        chosen = best_positions(self.target, raw)
        right = torch.zeros(len(truth), dtype=torch.bool, device=truth.device)
        for numbers in self._numbers(raw, truth):
            same = [raw[parent].ways.number(chosen[parent]) == number for parent, number in numbers.items()]
            right |= torch.stack(same).all(dim=0)
        return right & (truth >= 0).all(dim=1)

    def counts(self, raw: Scores, truth: Tensor, weights: Tensor) -> list[Tensor]:
        return [(self.right(raw, truth) * weights).sum(), ((truth != -1).all(dim=1) * weights).sum()]

    def scores(self, name: str, known: float, counts: list[float]) -> dict[str, float]:
        return {f"{name}_efficiency": _ratio(counts[0], counts[1])}


class TargetLosses:
    """Losses of the targets of a tagger, with the same weights of rows as in the loss of the classes."""

    def __init__(
        self, analysis: Analysis, names: Iterable[str], regressions: Mapping[str, RegressionHead] | None = None
    ) -> None:
        self.targets: dict[str, Target] = {name: analysis.targets[name] for name in names}
        self.kinds: dict[str, TargetLoss] = {}
        for name, target in self.targets.items():
            if isinstance(target, Regression):
                head = (regressions or {})[name]
                values = ValuesLoss(name, target, head)
                momenta = target.loss == "relative" or target.w_mass
                self.kinds[name] = MomentaLoss(values, target, head) if momenta else values
            elif isinstance(target, Assignment):
                self.kinds[name] = AssignmentLoss(name, target, analysis)
            elif isinstance(target, MemberClasses):
                self.kinds[name] = ClassesLoss(name, target, analysis)
            else:
                self.kinds[name] = PairsLoss(name, target, analysis)

    def __call__(self, raw: Mapping[str, Any], batch: Batch, weights: Tensor) -> dict[str, Tensor]:
        """Return the mean loss of each target over the entries of all ranks with known truth; ``weights (N,)`` of rows."""
        return self.means(raw, batch, weights, current())

    def means(self, raw: Mapping[str, Any], batch: Batch, weights: Tensor, ranks: Ranks) -> dict[str, Tensor]:
        """Return the mean loss of each target over the entries of ``ranks``."""
        losses = {}
        for name, values in raw.items():
            truth, known, rows = self.kinds[name].truth(batch)
            each = self.kinds[name].losses(values, truth)
            number = ranks.total(known.sum())
            losses[name] = ranks.total((each * weights[rows] * known).sum()) / number.clamp(min=1)
        return losses

    def total(self, losses: Mapping[str, Tensor], of_rows: bool) -> Tensor | float:
        """Return the weighted sum of the losses of targets of rows, or of constituents; 0 without such targets."""
        chosen = (name for name in losses if isinstance(self.targets[name], RowTarget) == of_rows)
        return sum(self.targets[name].weight * losses[name] for name in chosen)


class TargetScores:
    """Scores of targets, summed over batches: ``loss_<target>`` and the scores of its kind; NaN without known truth.

    As in a report, efficiencies and residuals use the event weight of each row.
    """

    def __init__(self, losses: TargetLosses) -> None:
        self.losses = losses
        self.sums: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, raw: Mapping[str, Any], batch: Batch, weights: Tensor, counted: bool = True) -> None:
        """Add the raw numbers of a batch if it is ``counted`` by this rank; ``weights (N,)`` of rows are used for the loss only."""
        losses = self.losses.means(raw, batch, weights, ONE)
        for name, values in raw.items():
            kind = self.losses.kinds[name]
            truth, known, rows = kind.truth(batch)
            of_things = torch.where(known, batch.weights.double()[rows], 0.0)
            number, counts = known.sum(), kind.counts(values, truth, of_things)
            sums = [number * losses[name].double(), number, of_things.sum(), *counts]
            added = torch.stack([part.double() for part in sums])
            self.sums[name] = self.sums.get(name, torch.zeros_like(added)) + (added if counted else 0)

    def scores(self, ranks: Ranks = ONE) -> dict[str, float]:
        """Return the scores of the rows of all ``ranks``, by name."""
        found = {}
        for name, sums in self.sums.items():
            loss, number, known, *others = ranks.total(sums).tolist()
            found[f"loss_{name}"] = _ratio(loss, number)
            found |= self.losses.kinds[name].scores(name, known, others)
        return found


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _root(square: float) -> float:
    """Return the root; NaN if the sum is negative because of negative event weights."""
    return square**0.5 if square >= 0 else float("nan")


def _single(raw: Tensor) -> Tensor:
    """Return numbers in at least single precision."""
    return raw if raw.dtype == torch.float64 else raw.float()
