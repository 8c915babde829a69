"""Weighted histograms of each class, as objects of the package hist."""

from typing import Any

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.extras import need

Array = np.ndarray[Any, Any]
UNKNOWN = "unknown"
"""Category of the rows whose true class is unknown."""


def fill(
    label: str, values: Array, weights: Array, labels: Array, classes: tuple[str, ...], bins: int, limits: tuple[float, float] | None
) -> Any:  # fmt: skip
    """Return a ``hist.Hist`` with the axes ``class`` (if there are classes) and ``value``, and sums of squared weights.

    ``values``, ``weights`` and ``labels`` have the shape (N,). NaN and infinity are counted in the overflow bin. The
    default limits are the lowest and highest finite value.
    """
    if bins < 1:
        raise CollidekitError(f"bins: {bins} is below 1; give at least 1")
    low, high = limits or _limits(label, values)
    if not low < high:
        raise CollidekitError(f"limits: {low:g} is not below {high:g}")
    package = need("hist", "hist")
    value = package.axis.Regular(bins, low, high, name="value", label=label)
    filled = {"value": np.asarray(values, dtype=np.float64), "weight": np.asarray(weights, dtype=np.float64)}
    if not classes:
        return package.Hist(value, storage=package.storage.Weight()).fill(**filled)
    unknown = UNKNOWN
    while unknown in classes:
        unknown = f"truth_{unknown}"
    names = [*classes, *([unknown] if np.any(labels < 0) else [])]
    classes_axis = package.axis.StrCategory(names, name="class", label="class")
    found = package.Hist(classes_axis, value, storage=package.storage.Weight())
    for index, name in enumerate(names):
        chosen = labels == index if index < len(classes) else labels < 0
        found.fill(**{"class": name}, **{axis: entries[chosen] for axis, entries in filled.items()})
    return found


def _limits(label: str, values: Array) -> tuple[float, float]:
    """Return limits for all finite values, such that the highest value is inside the last bin."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise CollidekitError(f"{label}: has no finite value, so the histogram has no range; give limits")
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return low - 0.5, high + 0.5
    return low, high + max(1e-9 * (high - low), 4 * float(np.spacing(max(abs(low), abs(high)))))
