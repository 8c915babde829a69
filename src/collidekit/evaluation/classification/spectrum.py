"""Spectrum of a spectator, such as the mass of the jet, for each class before and after a cut on a discriminator."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.efficiency import bin_numbers
from collidekit.evaluation.rows import Floats
from collidekit.inference.predictions import Predictions

BINS, FEWEST_BINS = 40, 10


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Sums of weights and of squared weights (classes, B), for all rows and for rows with score >= threshold."""

    discriminator: str
    threshold: float
    variable: str
    edges: Floats
    classes: tuple[str, ...]
    before: tuple[Floats, Floats]
    after: tuple[Floats, Floats]


def spectrum(predictions: Predictions, discriminator: str, threshold: float, variable: str) -> Spectrum:
    """Return the spectrum in bins over the central 99 % of the values; the number of bins depends on the rows after the cut."""
    values = np.asarray(predictions.spectators[variable], dtype=np.float64)
    usable = np.isfinite(values) & (predictions.labels >= 0)
    if not usable.any():
        raise CollidekitError(f"{variable}: no row of a class has a finite value, so there is no spectrum to draw")
    passed = predictions.discriminator(discriminator) >= threshold
    low, high = np.percentile(values[usable], [0.5, 99.5])
    if not high > low:
        low, high = low - 0.5, low + 0.5
    left = [int((passed & usable & (predictions.labels == k)).sum()) for k in range(len(predictions.classes))]
    rows = min((count for count in left if count), default=1)
    edges = np.linspace(low, high, min(BINS, max(FEWEST_BINS, int(2 * rows ** (1 / 3)))) + 1)
    bins, size = bin_numbers(values, edges), len(edges) - 1

    def sums(chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[Floats, Floats]:
        found = []
        for power in (1, 2):
            weights = np.asarray(predictions.weights, dtype=np.float64) ** power
            each = [chosen & (predictions.labels == k) & (bins >= 0) for k in range(len(predictions.classes))]
            found.append(np.stack([np.bincount(bins[rows], weights[rows], size).astype(np.float64) for rows in each]))
        return found[0], found[1]

    return Spectrum(discriminator, threshold, variable, edges, predictions.classes, sums(usable), sums(usable & passed))
