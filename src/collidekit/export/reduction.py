"""Effect of a reduced precision on scores, working points, size and time."""

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import frozen

from collidekit.analysis.schema import Analysis
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.roc import roc_curve
from collidekit.evaluation.classification.working_points import DiscriminatorPoints
from collidekit.export.agreement import Agreement, Cost, sides_of
from collidekit.export.cases import Array, Row, generic_arrays
from collidekit.export.expected import noise_of
from collidekit.export.layouts.base import Layout

TIMED = 64
"""Number of rows for the measurement of time."""
AUC_LOSS = 0.05
"""Largest accepted decrease of the AUC of a discriminator."""


@frozen
class Reduction:
    """Properties of a reduced graph that are known before its numbers are compared."""

    precision: str
    size: tuple[int, int]
    """Size in bytes, before and after."""
    time_ratio: float
    calibration: tuple[int, ...] = ()
    """Indices of the calibration rows; the effect is measured on the others."""

    def cost(
        self,
        agreement: Agreement,
        wanted: Mapping[str, Array],
        found: Mapping[str, Array],
        points: Sequence[DiscriminatorPoints],
        labels: Array,
        weights: Array,
        classes: Sequence[str],
    ) -> Cost:
        """Return the effect of the precision; raise CollidekitError if numbers are not finite or the AUC falls too much."""
        for name, values in found.items():
            bad = np.flatnonzero(
                (~np.isfinite(values) & np.isfinite(wanted[name])).reshape(len(values), -1).any(axis=1)
            )
            if len(bad):
                raise CollidekitError(
                    f"precision {self.precision}: column {name} of row {bad[0]} is not finite; use float32"
                )
        for name, (before, after) in agreement.auc.items():
            if after < before - AUC_LOSS:
                raise CollidekitError(
                    f"precision {self.precision}: the AUC of {name} falls from {before:.4f} to {after:.4f}, by more than {AUC_LOSS}; "
                    "use another precision"
                )
        rejection, efficiencies = cost_of(wanted, found, points, labels, weights, classes)
        return Cost(self.precision, rejection, efficiencies, self.size, self.time_ratio, 1)


def full_places(rows: Sequence[Row], analysis: Analysis, number: int) -> list[int]:
    """Return the indices of some rows at equal distances, if possible of rows with constituents in all collections."""
    found = [i for i, row in enumerate(rows) if all(len(row.values[name]) for name in analysis.collections)]
    found = found or list(range(len(rows)))
    return found[:: max(len(found) // max(number, 1), 1)][:number]


def feeds(layout: Layout, rows: Sequence[Row]) -> list[dict[str, Array]]:
    """Return the inputs of a layout for each row."""
    analysis, found = layout.graph.analysis, []
    for row in rows:
        given = layout.given(generic_arrays([row], analysis, noise_of(layout.graph, [row], analysis)))
        found.append({name: np.ascontiguousarray(given[name]) for name in layout.input_names})
    return found


EFFICIENCY = 0.5
"""Signal efficiency of the background rejection."""


def cost_of(
    wanted: Mapping[str, Array],
    found: Mapping[str, Array],
    points: Sequence[DiscriminatorPoints],
    labels: Array,
    weights: Array,
    classes: Sequence[str],
) -> tuple[dict[str, tuple[float | None, float | None]], dict[str, dict[str, tuple[float, float, float, float]]]]:
    """Return rejection and efficiencies of each discriminator before and after, in the form of ``Cost``."""
    rejection, efficiencies = {}, {}
    for entry in points:
        name = entry.discriminator
        signal, background = sides_of(entry, labels, classes)
        if name not in found or not signal.any() or not background.any():
            continue
        forms = wanted[name].astype(np.float64), found[name].astype(np.float64)
        rejection[name] = (
            _rejection(forms[0], signal, background, weights),
            _rejection(forms[1], signal, background, weights),
        )
        efficiencies[name] = {
            point.name: tuple(
                float(np.average(scores[rows] >= point.threshold, weights=weights[rows]))
                for rows in (signal, background)
                for scores in forms
            )
            for point in entry.points
            if point.threshold is not None
        }
    return rejection, efficiencies  # type: ignore[return-value]


def _rejection(scores: Array, signal: Array, background: Array, weights: Array) -> float | None:
    """Return 1 / background efficiency at the signal efficiency ``EFFICIENCY``; None if no background passes."""
    rows = signal | background
    fraction = roc_curve(scores[rows], signal[rows], weights[rows]).background_efficiency(EFFICIENCY)
    return 1 / fraction if fraction > 0 else None
