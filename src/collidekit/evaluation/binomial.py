"""Efficiencies of weighted rows with binomial errors; negative weights are allowed."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.rows import Floats, Ints

CENTRAL_68 = 1.0
"""Number of standard deviations of a Wilson interval."""


def effective_size(weights: ArrayLike, axis: int | None = None) -> Any:
    """Return the number of unweighted rows with the same relative error, (sum w)^2 / sum w^2; 0 without rows."""
    array = np.asarray(weights, dtype=np.float64)
    total, squares = array.sum(axis=axis), (array**2).sum(axis=axis)
    result = np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)
    return float(result) if axis is None else result


@dataclass(frozen=True)
class Efficiency:
    """An efficiency with its 68 % Wilson interval [low, high], raw counts and effective number of rows."""

    value: float
    error: float
    low: float
    high: float
    passed: int
    total: int
    effective: float

    def __str__(self) -> str:
        if self.passed == 0:
            return f"< {self.high:.2g}"
        return with_error(self.value, self.error)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Efficiencies:
    """Efficiencies of several samples or bins, as arrays (B,); NaN for a bin without weight."""

    value: Floats
    error: Floats
    low: Floats
    high: Floats
    passed: Ints
    total: Ints
    effective: Floats

    def __getitem__(self, index: int) -> Efficiency:
        return Efficiency(
            value=float(self.value[index]),
            error=float(self.error[index]),
            low=float(self.low[index]),
            high=float(self.high[index]),
            passed=int(self.passed[index]),
            total=int(self.total[index]),
            effective=float(self.effective[index]),
        )


def efficiency(passed: ArrayLike, weights: ArrayLike) -> Efficiency:
    """Return the fraction of the weight (N,) of the rows that pass (N,)."""
    passed = np.asarray(passed, dtype=bool)
    return binned_efficiency(passed, np.asarray(weights, dtype=np.float64), np.zeros(len(passed), dtype=np.int64), 1)[0]


def binned_efficiency(passed: ArrayLike, weights: ArrayLike, bins: Ints, count: int) -> Efficiencies:
    """Return the efficiency in each of ``count`` bins, for rows (N,) with bin numbers (N,).

    The variance is that of the weighted ratio, [(1-e)^2 sum_pass w^2 + e^2 sum_fail w^2] / (sum w)^2. The Wilson interval uses the
    number of rows that gives the same binomial variance; its width is not 0 at e = 0 and 1.
    """
    passed, weights = np.asarray(passed, dtype=bool), np.asarray(weights, dtype=np.float64)

    def total(values: Floats) -> Floats:
        return np.bincount(bins, weights=values, minlength=count).astype(np.float64)

    all_weight, pass_weight = total(weights), total(np.where(passed, weights, 0.0))
    all_square, pass_square = total(weights**2), total(np.where(passed, weights**2, 0.0))
    filled = all_weight > 0
    safe = np.where(filled, all_weight, 1.0)
    value = pass_weight / safe
    variance = ((1 - value) ** 2 * pass_square + value**2 * (all_square - pass_square)) / safe**2
    overall = np.divide(all_weight**2, all_square, out=np.zeros(count), where=all_square > 0)
    inside = (value > 0) & (value < 1) & (variance > 0)
    effective = np.where(inside, value * (1 - value) / np.where(inside, variance, 1.0), overall)
    low, high = wilson(value, effective)
    error = np.where(inside, np.sqrt(variance), (high - low) / 2)
    value, error, low, high = (np.where(filled, column, np.nan) for column in (value, error, low, high))
    return Efficiencies(
        value=value,
        error=error,
        low=low,
        high=high,
        passed=np.bincount(bins[passed], minlength=count),
        total=np.bincount(bins, minlength=count),
        effective=effective,
    )


def wilson(value: Floats, rows: Floats, z: float = CENTRAL_68) -> tuple[Floats, Floats]:
    """Return the Wilson score interval (1927) of an efficiency measured with a number of rows, each (B,); [0, 1] without rows."""
    clipped, n = np.clip(value, 0, 1), np.maximum(rows, 1e-12)
    centre = (clipped + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(clipped * (1 - clipped) / n + z**2 / (4 * n**2))
    return np.minimum(np.maximum(centre - half, 0), value), np.maximum(np.minimum(centre + half, 1), value)


def upper_limit(rows: float, confidence: float = 0.95) -> float:
    """Return the upper limit of an efficiency if none of a number of rows passes: 1 - (1 - confidence)^(1 / rows)."""
    return float(1 - (1 - confidence) ** (1 / rows)) if rows > 0 else 1.0
