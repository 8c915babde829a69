"""Residuals of estimated values (estimate minus truth): bias and resolution with errors, for all rows and in bins of the truth."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from collidekit.analysis.features import with_unit
from collidekit.analysis.labels import without_latex
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.bootstrap import poisson_weights
from collidekit.evaluation.classification.efficiency import quantile_edges
from collidekit.evaluation.classification.roc import first_reaching
from collidekit.evaluation.look import value_label
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.rows import Floats, Ints
from collidekit.inference.predictions import Array, Predictions
from collidekit.shown import counted, html_table

FEWEST = 20
"""Minimum number of rows for a width."""
REPLICATES = 200


@dataclass(frozen=True)
class Spread:
    """Bias, standard deviation and width of ``rows`` residuals in the unit of the value, with statistical errors (Poisson bootstrap).

    ``bias`` is the weighted mean and ``deviation`` the weighted standard deviation. ``width`` is half the distance between the 16th and
    the 84th percentile; a few outliers do not change it. With fewer than 20 rows, all numbers except ``rows`` are NaN.
    """

    rows: int
    bias: float
    bias_error: float
    deviation: float
    deviation_error: float
    width: float
    width_error: float

    @classmethod
    def of(cls, residuals: ArrayLike, weights: ArrayLike, seed: int = 0, events: Ints | None = None) -> "Spread":
        """Return the numbers of residuals (R,) with weights (R,); the bootstrap draws residuals of the same ``events (R,)`` together."""
        values, given = np.asarray(residuals, dtype=np.float64), np.asarray(weights, dtype=np.float64)
        if len(values) < FEWEST or given.sum() <= 0:
            return cls(len(values), *[float("nan")] * 6)
        order = np.argsort(values)
        values, given = values[order], given[order]
        found = _moments(values, given)
        drawn = (given * counts for counts in _counts(len(values), seed, None if events is None else events[order]))
        replicates = np.array([_moments(values, weights) for weights in drawn if weights.sum() > 0])
        errors = replicates.std(axis=0, ddof=1)
        numbers = [float(number) for pair in zip(found, errors, strict=True) for number in pair]
        return cls(len(values), *numbers)

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON, with null for NaN."""
        return {name: None if np.isnan(number) else number for name, number in asdict(self).items()}

    @classmethod
    def read(cls, content: dict[str, Any]) -> "Spread":
        """Return the object that ``as_dict`` wrote."""
        numbers: dict[str, Any] = {name: float("nan") if number is None else number for name, number in content.items()}
        return cls(**numbers)


def _counts(rows: int, seed: int, events: Ints | None) -> Iterator[Array]:
    """Yield the number of times (R,) that each residual is drawn, for each replicate."""
    if events is None:
        yield from poisson_weights(rows, REPLICATES, seed)
        return
    kinds, numbers = np.unique(events, return_inverse=True)
    for counts in poisson_weights(len(kinds), REPLICATES, seed):
        yield counts[numbers]


def _moments(values: Floats, weights: Floats) -> tuple[float, float, float]:
    """Return mean, standard deviation and width of sorted values."""
    total = weights.sum()
    mean = float(weights @ values / total)
    variance = float(weights @ (values - mean) ** 2 / total)
    places = first_reaching(np.cumsum(weights), np.array([0.16, 0.84]) * total, rising=bool(weights.min() >= 0))
    low, high = values[np.minimum(places, len(values) - 1)]
    return mean, max(variance, 0.0) ** 0.5, float(high - low) / 2


@dataclass(frozen=True)
class Residuals:
    """Residuals of one value, for all rows with known truth and in bins of the truth with equally many rows."""

    name: str
    unit: str
    unknown: int
    """Number of rows with unknown truth."""
    truth_deviation: float
    """Standard deviation of the truth: the result of the same estimate for every row."""
    all: Spread
    edges: tuple[float, ...]
    bins: tuple[Spread, ...]

    @property
    def label(self) -> str:
        """Return the label of the value on an axis, with its unit."""
        return with_unit(value_label(self.name), self.unit)

    def _repr_html_(self) -> str:
        note = f"{counted(self.unknown, 'row')} without known truth" if self.unknown else ""
        return html_table(f"Residuals of {self.label}", [self.cells()], HEADER, note)

    def as_dict(self) -> dict[str, Any]:
        """Return the content for JSON, with null for NaN."""
        spreads = {"all": self.all.as_dict(), "bins": [spread.as_dict() for spread in self.bins]}
        return {**asdict(self), **spreads, "edges": list(self.edges)}

    @classmethod
    def read(cls, content: dict[str, Any]) -> "Residuals":
        """Return the object that ``as_dict`` wrote."""
        bins = tuple(map(Spread.read, content["bins"]))
        return cls(**{**content, "all": Spread.read(content["all"]), "bins": bins, "edges": tuple(content["edges"])})

    def cells(self) -> tuple[str, ...]:
        """Return a row of the table."""
        spread = self.all
        numbers = (
            (spread.bias, spread.bias_error), (spread.width, spread.width_error), (spread.deviation, spread.deviation_error),
        )  # fmt: skip
        texts = (with_error(*pair) if np.isfinite(pair[0]) else "too few rows" for pair in numbers)
        return (
            without_latex(value_label(self.name)),
            self.unit or "-",
            f"{spread.rows:,}",
            *texts,
            f"{self.truth_deviation:.4g}",
        )


HEADER = ("value", "unit", "rows", "bias", "width (68 %)", "std. deviation", "of the truth")


def measure_residuals(predictions: Predictions, names: Sequence[str] | None = None) -> list[Residuals]:
    """Return the residuals of each value, or of the values in ``names``.

    Raises CollidekitError if the truth of a value is unknown for all rows.
    """
    found = []
    for name in names or predictions.values:
        truth, estimate = predictions.truth[name], predictions.values[name]
        known = np.isfinite(truth)
        if not known.any():
            raise CollidekitError(
                f"{name}: the truth is unknown for all {len(truth):,} rows, so there are no residuals"
            )
        if (total := float(predictions.weights[known].sum(dtype=np.float64))) <= 0:
            raise CollidekitError(
                f"{name}: the sum of the weights of rows with known truth is {total:g}; it must be above 0"
            )
        residuals, weights = (estimate - truth)[known], predictions.weights[known].astype(np.float64)
        edges = quantile_edges(truth[known])
        which = np.clip(np.searchsorted(edges, truth[known], side="right") - 1, 0, len(edges) - 2)
        bins = tuple(Spread.of(residuals[which == b], weights[which == b], seed=b + 1) for b in range(len(edges) - 1))
        order = np.argsort(truth[known])
        spread = _moments(truth[known][order], weights[order])[1]
        found.append(
            Residuals(
                name, predictions.units.get(name, ""), int((~known).sum()), spread, Spread.of(residuals, weights),
                tuple(map(float, edges)), bins,
            )
        )  # fmt: skip
    return found
