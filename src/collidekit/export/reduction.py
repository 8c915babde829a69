"""Costs and gains of a reduced precision of a graph: scores, working points, size and time."""

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
"""Rows whose time is measured."""
AUC_LOSS = 0.05
"""By which a reduced precision may lower the AUC of a discriminator."""


@frozen
class Reduction:
    """Facts of a reduced graph that are known before its numbers are compared."""

    precision: str
    size: tuple[int, int]
    """In bytes, before and after."""
    time_ratio: float
    calibration: tuple[int, ...] = ()
    """Places of the rows that gave the ranges of values; the cost is measured on the others."""

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
        """Return what it costs; a CollidekitError where it gives numbers that are not finite, or the AUC falls too much."""
        for name, values in found.items():
            bad = np.flatnonzero(
                (~np.isfinite(values) & np.isfinite(wanted[name])).reshape(len(values), -1).any(axis=1)
            )
            if len(bad):
                raise CollidekitError(
                    f"precision {self.precision}: column {name} of row {bad[0]} is not finite; take float32"
                )
        for name, (before, after) in agreement.auc.items():
            if after < before - AUC_LOSS:
                raise CollidekitError(
                    f"precision {self.precision}: the AUC of {name} falls from {before:.4f} to {after:.4f}, by more than {AUC_LOSS}; "
                    "take another precision"
                )
        rejection, efficiencies = cost_of(wanted, found, points, labels, weights, classes)
        return Cost(self.precision, rejection, efficiencies, self.size, self.time_ratio, 1)


def full_places(rows: Sequence[Row], analysis: Analysis, number: int) -> list[int]:
    """Return the places of some rows, at equal distances; each has a constituent in each collection, where rows have them."""
    found = [i for i, row in enumerate(rows) if all(len(row.values[name]) for name in analysis.collections)]
    found = found or list(range(len(rows)))
    return found[:: max(len(found) // max(number, 1), 1)][:number]


def feeds(layout: Layout, rows: Sequence[Row]) -> list[dict[str, Array]]:
    """Return inputs of a layout, for a row a call."""
    analysis, found = layout.graph.analysis, []
    for row in rows:
        given = layout.given(generic_arrays([row], analysis, noise_of(layout.graph, [row], analysis)))
        found.append({name: np.ascontiguousarray(given[name]) for name in layout.input_names})
    return found


EFFICIENCY = 0.5
"""Signal efficiency at which the rejection of background is given."""


def cost_of(
    wanted: Mapping[str, Array],
    found: Mapping[str, Array],
    points: Sequence[DiscriminatorPoints],
    labels: Array,
    weights: Array,
    classes: Sequence[str],
) -> tuple[dict[str, tuple[float | None, float | None]], dict[str, dict[str, tuple[float, float, float, float]]]]:
    """Return rejection and efficiencies of each discriminator before and after, as ``Cost`` holds them."""
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
    """Return 1 / background efficiency at the signal efficiency ``EFFICIENCY``; None where no background passes."""
    rows = signal | background
    fraction = roc_curve(scores[rows], signal[rows], weights[rows]).background_efficiency(EFFICIENCY)
    return 1 / fraction if fraction > 0 else None
