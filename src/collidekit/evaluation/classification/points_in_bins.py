"""Working points in bins of a spectator, such as the pT of the jet, with a separate threshold for each bin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from collidekit.evaluation.classification.efficiency import bin_numbers
from collidekit.evaluation.classification.working_points import (
    DiscriminatorPoints,
    Kind,
    WorkingPoint,
    points_of_discriminator,
)
from collidekit.evaluation.rows import Floats
from collidekit.inference.predictions import Predictions


@dataclass(frozen=True, eq=False)
class PointsInBins:
    """Working points of one discriminator in each bin (B) of a variable (B + 1 edges)."""

    variable: str
    edges: Floats
    bins: tuple[DiscriminatorPoints, ...]

    @property
    def discriminator(self) -> str:
        return self.bins[0].discriminator

    def as_dict(self) -> dict[str, Any]:
        bins = [
            {"low": float(low), "high": float(high), "points": entry.as_dict()["points"]}
            for low, high, entry in zip(self.edges[:-1], self.edges[1:], self.bins, strict=True)
        ]
        return {"discriminator": self.discriminator, "variable": self.variable, "bins": bins}


def points_in_bins(
    predictions: Predictions, bins: Mapping[str, Sequence[float]], mistag_rates: Sequence[float] = (), efficiencies: Sequence[float] = ()
) -> list[PointsInBins]:  # fmt: skip
    """Return the thresholds of every discriminator in bins of spectators; unreachable ones have a reason instead."""
    found = []
    for name in predictions.definitions:
        for variable, given in bins.items():
            edges = np.asarray(given, dtype=np.float64)
            numbers = bin_numbers(np.asarray(predictions.spectators[variable], dtype=np.float64), edges)
            points = tuple(
                _in_bin(_rows(predictions, numbers == index), name, mistag_rates, efficiencies)
                for index in range(len(edges) - 1)
            )
            found.append(PointsInBins(variable, edges, points))
    return found


def _in_bin(
    predictions: Predictions, name: str, mistag_rates: Sequence[float], efficiencies: Sequence[float]
) -> DiscriminatorPoints:
    _, truth, weights = predictions.task(name)
    for side, what in ((truth, "signal"), (~truth, "background")):
        if not side.any() or weights[side].sum() <= 0:
            kinds: list[tuple[Kind, float]] = [("mistag", rate) for rate in mistag_rates]
            kinds += [("efficiency", rate) for rate in efficiencies]
            reason = f"there are no {what} rows in this bin"
            points = tuple(WorkingPoint(kind, target, None, reason) for kind, target in kinds)
            definition = predictions.definitions[name]
            return DiscriminatorPoints(name, tuple(definition.signal), tuple(definition.background), points)
    return points_of_discriminator(predictions, name, mistag_rates, efficiencies)


def _rows(predictions: Predictions, chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> Predictions:
    """Return some rows with everything that discriminators need."""
    return Predictions(
        predictions.classes,
        predictions.probabilities[chosen],
        predictions.labels[chosen],
        predictions.weights[chosen],
        predictions.definitions,
    )
