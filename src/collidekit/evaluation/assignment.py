"""Efficiency of assignments: how often all decay products of a parent, or of the whole event, are assigned correctly."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from collidekit.analysis.targets import Assignment
from collidekit.dataset.targets import UNKNOWN
from collidekit.errors import CollidekitError
from collidekit.evaluation.binomial import Efficiencies, Efficiency, binned_efficiency, efficiency
from collidekit.evaluation.classification.efficiency import bin_numbers, quantile_edges
from collidekit.evaluation.rows import Floats
from collidekit.inference.predictions import Predictions

HEADER = ("target", "what", "complete events", "efficiency", "all events", "fraction right")
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Found:
    """Efficiency of a parent, or of the whole event.

    ``complete`` is the efficiency among the events that contain all decay products; ``every`` among all events with known truth,
    where a missing decay product counts as a failure.
    """

    target: str
    what: str
    complete: Efficiency | None
    """None if there is no such event."""
    every: Efficiency

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, content: dict[str, Any]) -> "Found":
        """Return the object that ``as_dict`` wrote."""
        complete = Efficiency(**content["complete"]) if content["complete"] else None
        return cls(content["target"], content["what"], complete, Efficiency(**content["every"]))

    def cells(self) -> tuple[str, ...]:
        """Return a row of the table."""
        counts = f"{self.complete.total:,}" if self.complete else "0"
        return (
            self.target, self.what, counts, str(self.complete) if self.complete else "no such event", f"{self.every.total:,}",
            str(self.every),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Right:
    """Flags (N,) of events that are assigned correctly, and of events with all decay products, for each parent and the whole event."""

    known: Flags
    right: dict[str, Flags]
    complete: dict[str, Flags]


EVENT = "whole event"


def right_rows(predictions: Predictions, target: Assignment) -> Right:
    """Compare the assigned positions with the true ones, in the order of exchangeable parents for which most parents are right.

    Exchangeable slots are compared as sets.
    """
    positions, true = predictions.positions, predictions.true_positions
    known = np.all([true[name] != UNKNOWN for name in target.values], axis=0)
    orders = []
    for order in target.exchanges():
        orders.append(
            [_same(predictions, target, parent, other) for parent, other in zip(target.parents, order, strict=True)]
        )
    stacked = np.array(orders)  # (orders, parents, N)
    best = stacked.sum(axis=1).argmax(axis=0)
    names = np.array(list(target.parents))
    chosen = np.array(target.exchanges())[best]  # (N, parents): the true parent beside each predicted one
    complete = {p: np.all([true[f"{p}_{slot}"] >= 0 for slot in slots], axis=0) for p, slots in target.parents.items()}
    right = {}
    for name in target.parents:  # by the true parent: complete events are counted for each true parent
        beside = [stacked[best, p, np.arange(len(known))] & (chosen[:, p] == name) for p in range(len(names))]
        right[name] = np.any(beside, axis=0)
    right[EVENT] = np.all([right[name] for name in target.parents], axis=0)
    complete[EVENT] = np.all(list(complete.values()), axis=0)
    assert positions.keys() >= target.values.keys()
    return Right(
        known, {name: rows & known for name, rows in right.items()}, {n: rows & known for n, rows in complete.items()}
    )


def _same(predictions: Predictions, target: Assignment, parent: str, other: str) -> Flags:
    """Return whether the slots of a predicted parent (N,) equal the slots of a true parent without empty slots."""
    slots = list(target.parents[parent])
    found = np.stack([predictions.positions[f"{parent}_{slot}"] for slot in slots], axis=1)
    true = np.stack([predictions.true_positions[f"{other}_{slot}"] for slot in slots], axis=1)
    for group in target.alike(parent):
        found[:, group], true[:, group] = np.sort(found[:, group], axis=1), np.sort(true[:, group], axis=1)
    same: Flags = ((found == true) & (true >= 0)).all(axis=1)
    return same


def measure_assignment(predictions: Predictions, name: str, target: Assignment) -> list[Found]:
    """Return the efficiencies of the whole event and of each parent, with binomial errors of the weighted rows."""
    rows = right_rows(predictions, target)
    weights = predictions.weights.astype(np.float64)
    if not rows.known.any():
        raise CollidekitError(f"{name}: the truth is unknown for all {len(predictions):,} events")
    if (total := float(weights[rows.known].sum())) <= 0:
        raise CollidekitError(
            f"{name}: the sum of the weights of events with known truth is {total:g}; it must be above 0"
        )
    found = []
    for what, right in {EVENT: rows.right[EVENT], **rows.right}.items():
        complete, known = rows.complete[what], rows.known
        of_complete = None
        if complete.any() and weights[complete].sum() > 0:
            of_complete = efficiency(right[complete], weights[complete])
        found.append(Found(name, what, of_complete, efficiency(right[known], weights[known])))
    return found


def measure_assignments(predictions: Predictions, targets: Mapping[str, Assignment]) -> list[Found]:
    """Return the efficiencies of each target with a known truth in some events."""
    return [
        found
        for name, target in targets.items()
        if right_rows(predictions, target).known.any()
        for found in measure_assignment(predictions, name, target)
    ]


def assignment_in_bins(
    predictions: Predictions, target: Assignment, variable: str
) -> tuple[Floats, dict[str, Efficiencies]]:
    """Return the edges (B + 1,) of bins of a spectator with about equally many events, and the efficiencies in the bins.

    Integers with few values get one bin for each value. The efficiencies are those among events with all decay products.
    """
    rows = right_rows(predictions, target)
    values = np.asarray(predictions.spectators[variable], dtype=np.float64)
    edges = _edges(values[rows.known & np.isfinite(values)])
    bins = bin_numbers(values, edges)
    found = {}
    for what, right in {EVENT: rows.right[EVENT], **rows.right}.items():
        chosen = rows.complete[what] & (bins >= 0)
        weights = predictions.weights[chosen].astype(np.float64)
        found[what] = binned_efficiency(right[chosen], weights, bins[chosen], len(edges) - 1)
    return edges, found


def _edges(values: Floats) -> Floats:
    whole = np.unique(values)
    if 1 < len(whole) <= 12 and (whole == np.floor(whole)).all():
        return np.append(whole - 0.5, whole[-1] + 0.5)
    return quantile_edges(values)
