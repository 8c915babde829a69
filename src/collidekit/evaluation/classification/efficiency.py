"""Efficiency of a working point in bins of a spectator, such as pT or eta, for each class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from collidekit.errors import CollidekitError
from collidekit.evaluation.binomial import Efficiencies, binned_efficiency
from collidekit.evaluation.rows import Floats
from collidekit.files import plain
from collidekit.inference.predictions import Predictions


@dataclass(frozen=True, eq=False)
class BinnedEfficiency:
    """Efficiency of each class in bins of a variable (B + 1 edges); rows outside the edges are left out."""

    discriminator: str
    threshold: float
    variable: str
    edges: Floats
    classes: dict[str, Efficiencies]

    def as_dict(self) -> dict[str, Any]:
        content: dict[str, Any] = plain({**vars(self), "classes": {name: vars(e) for name, e in self.classes.items()}})
        return content


def efficiency_in_bins(
    predictions: Predictions, discriminator: str, threshold: float, variable: str, edges: ArrayLike
) -> BinnedEfficiency:
    """Return the fraction of the weight with score >= threshold, in bins of a spectator of the predictions."""
    if variable not in predictions.spectators:
        known = ", ".join(predictions.spectators) or "none"
        raise CollidekitError(f"{variable!r} is not a spectator of these predictions; spectators are: {known}")
    bounds = np.asarray(edges, dtype=np.float64)
    values = np.asarray(predictions.spectators[variable], dtype=np.float64)
    passed = predictions.discriminator(discriminator) >= threshold
    bins = bin_numbers(values, bounds)
    found = {}
    for index, name in enumerate(predictions.classes):
        rows = (predictions.labels == index) & (bins >= 0)
        found[name] = binned_efficiency(passed[rows], predictions.weights[rows], bins[rows], len(bounds) - 1)
    return BinnedEfficiency(discriminator, threshold, variable, bounds, found)


def bin_numbers(values: Floats, edges: Floats) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the bin (N,) of each value, or -1 outside; the last bin includes its upper edge."""
    bins = np.searchsorted(edges, values, side="right").astype(np.int64) - 1
    bins[values == edges[-1]] = len(edges) - 2
    bins[~((values >= edges[0]) & (values <= edges[-1]))] = -1
    return bins


def quantile_edges(values: ArrayLike, bins: int = 8) -> Floats:
    """Return edges with about equally many rows in each bin, for a spectator without bins in the analysis."""
    array = np.asarray(values, dtype=np.float64)
    finite: Sequence[float] = array[np.isfinite(array)]  # type: ignore[assignment]
    if not len(finite):
        raise CollidekitError("the spectator has no finite value, so it cannot be binned")
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, bins + 1)))
    return edges if len(edges) > 1 else np.array([edges[0] - 0.5, edges[0] + 0.5])
