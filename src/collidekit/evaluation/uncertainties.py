"""Quality of predicted uncertainties: coverage and width of intervals, the probability integral transform, log density."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.evaluation.binomial import Efficiency, efficiency
from collidekit.evaluation.numbers import percent, with_error
from collidekit.evaluation.rows import Floats
from collidekit.inference.predictions import Predictions

BINS = 20
"""Number of bins of the probability integral transform, if its distribution is known everywhere."""
HEADER = ("value", "unit", "estimate", "rows", "interval", "coverage", "mean width")
DENSITY_HEADER = ("target", "rows", "−log density", "rows of density 0")


@dataclass(frozen=True)
class Interval:
    """A central interval: nominal coverage, fraction of the rows with the truth inside, and mean width in the unit of the value."""

    nominal: float
    coverage: Efficiency
    width: float
    width_error: float

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        return {**asdict(self), "coverage": self.coverage.as_dict()}

    @classmethod
    def read(cls, content: dict[str, Any]) -> "Interval":
        """Return the object that ``as_dict`` wrote."""
        return cls(**{**content, "coverage": Efficiency(**content["coverage"])})


@dataclass(frozen=True)
class Spreads:
    """Uncertainty of one value, measured on the rows with known truth.

    ``pit`` is the density of the probability integral transform: fraction of the rows in a bin over the width of the bin. It is 1
    everywhere if the predicted distributions are right. For quantiles, the edges are their levels.
    """

    name: str
    unit: str
    target: str
    estimate: str
    rows: int
    intervals: tuple[Interval, ...]
    pit_edges: tuple[float, ...]
    pit: tuple[float, ...]
    pit_error: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        return {**asdict(self), "intervals": [entry.as_dict() for entry in self.intervals]}

    @classmethod
    def read(cls, content: dict[str, Any]) -> "Spreads":
        """Return what ``as_dict`` gave, from a file."""
        lists = {key: tuple(content[key]) for key in ("pit_edges", "pit", "pit_error")}
        return cls(**{**content, **lists, "intervals": tuple(map(Interval.read, content["intervals"]))})

    def cells(self) -> list[tuple[str, ...]]:
        """Return a row of the table for each interval."""
        return [
            (
                self.name, self.unit or "-", self.estimate, f"{self.rows:,}", percent(entry.nominal), str(entry.coverage),
                with_error(entry.width, entry.width_error),
            )
            for entry in self.intervals
        ]  # fmt: skip


@dataclass(frozen=True)
class LogDensity:
    """Weighted mean of the negative logarithm of the predicted joint density of all values of a target at the truth.

    The density uses the values in their unit. ``impossible`` is the number of rows with density 0: their logarithm is infinite, so
    they are not in the mean.
    """

    target: str
    rows: int
    impossible: int
    value: float
    error: float

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        return asdict(self)

    def cells(self) -> tuple[str, ...]:
        """Return a row of the table."""
        return self.target, f"{self.rows:,}", with_error(self.value, self.error), f"{self.impossible:,}"


def measure_uncertainties(predictions: Predictions, names: Sequence[str] | None = None) -> list[Spreads]:
    """Return the measured uncertainty of each value that has one, or of the values in ``names``.

    Raises CollidekitError if no row has a known truth of a value, or if the weights of these rows have no positive sum.
    """
    found = []
    for name in predictions.uncertainties if names is None else names:
        if (uncertainty := predictions.uncertainties.get(name)) is None:
            continue
        truth, estimate = predictions.truth[name], predictions.values[name].astype(np.float64)
        known = np.isfinite(truth)
        weights = _positive(name, predictions.weights[known])
        intervals = []
        for nominal, low, high in uncertainty.intervals(estimate):
            inside = (low <= truth) & (truth <= high)
            width = _mean((high - low)[known], weights)
            intervals.append(Interval(nominal, efficiency(inside[known], weights), *width))
        edges = np.array(uncertainty.edges() or np.linspace(0, 1, BINS + 1))
        densities = _density(uncertainty.cumulative(estimate, truth)[known], weights, edges)
        unit = predictions.units.get(name, "")
        found.append(
            Spreads(
                name, unit, uncertainty.target, uncertainty.estimate, int(known.sum()), tuple(intervals),
                tuple(edges.tolist()), *densities,
            )
        )  # fmt: skip
    return found


def measure_densities(predictions: Predictions) -> list[LogDensity]:
    """Return the negative log density of each target that predicts a density and has a row with known truth."""
    found = []
    for name, values in predictions.densities.items():
        known, possible = ~np.isnan(values), np.isfinite(values)
        if possible.any():
            mean = _mean(values[possible], _positive(name, predictions.weights[possible]))
            found.append(LogDensity(name, int(known.sum()), int((known & ~possible).sum()), *mean))
    return found


def _positive(name: str, weights: Any) -> Floats:
    """Return the weights in double precision, and check that their sum is positive."""
    if not len(weights):
        raise CollidekitError(f"{name}: the truth is unknown for all rows, so there is no coverage")
    found: Floats = weights.astype(np.float64)
    if (total := found.sum()) <= 0:
        raise CollidekitError(
            f"{name}: the sum of the weights of rows with known truth is {total:g}; it must be above 0"
        )
    return found


def _mean(values: Floats, weights: Floats) -> tuple[float, float]:
    """Return the weighted mean and its error, sqrt(sum w^2 (x - mean)^2) / sum w."""
    total = weights.sum()
    mean = float(weights @ values / total)
    return mean, float(np.sqrt(weights**2 @ (values - mean) ** 2) / total)


def _density(pit: Floats, weights: Floats, edges: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the fraction of the weight in each bin over the width of the bin, with binomial errors."""
    place = np.clip(np.searchsorted(edges, pit, side="right") - 1, 0, len(edges) - 2)
    found = [efficiency(place == k, weights) for k in range(len(edges) - 1)]
    widths = np.diff(edges)
    values = tuple(float(entry.value / width) for entry, width in zip(found, widths, strict=True))
    return values, tuple(float(entry.error / width) for entry, width in zip(found, widths, strict=True))
