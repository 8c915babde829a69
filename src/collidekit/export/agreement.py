"""Comparison of a graph in onnxruntime with the checkpoint on real rows: differences, AUC, working points."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import asdict, frozen

from collidekit.evaluation.classification.roc import roc_curve
from collidekit.evaluation.classification.working_points import DiscriminatorPoints
from collidekit.export.cases import Array
from collidekit.inference.predictions import Predictions
from collidekit.runtime.schema import Tensor

EQUAL = 1e-6
"""Scores that are closer to a threshold may change sides by rounding."""
TOLERANCE = 1e-5
"""Largest accepted difference of a column in single precision."""
RARE = 1e-4
"""Fraction of rows that may differ by more if a network chooses between nearly equal things, such as nearest neighbours."""


@frozen
class Difference:
    """Differences of one column over all rows, relative to the larger of its scale and the value."""

    column: str
    largest: float
    mean: float
    row: int
    """Index of the row with the largest difference."""
    beyond: int = 0
    """Number of rows that differ by more than ``TOLERANCE``."""


@frozen
class Side:
    """Number of rows that change sides at a working point between checkpoint and graph."""

    discriminator: str
    point: str
    threshold: float
    changed: int
    near: int
    """Number of these rows whose two scores are both within ``EQUAL`` of the threshold."""


@frozen
class Cost:
    """Effect of a reduced precision; pairs are for the graph in single precision, then for the reduced graph."""

    precision: str
    rejection: dict[str, tuple[float | None, float | None]]
    """Weighted 1 / background efficiency at 50 % signal efficiency, for each discriminator; None if no background passes."""
    efficiencies: dict[str, dict[str, tuple[float, float, float, float]]]
    """Efficiencies at each working point of each discriminator: signal before and after, background before and after."""
    size: tuple[int, int]
    """Size of all graphs in bytes."""
    time_ratio: float
    """Time per row of the reduced graph divided by the time in single precision: median over calls of one row."""
    threads: int


@frozen
class Agreement:
    """Agreement of graph and checkpoint over all compared rows."""

    rows: int
    differences: tuple[Difference, ...]
    sides: tuple[Side, ...]
    auc: dict[str, tuple[float, float]]
    """AUC of each discriminator for the checkpoint and for the graph."""
    cost: Cost | None = None
    """Effect of a reduced precision; None in single precision."""

    @property
    def largest(self) -> float:
        """Return the largest difference of all columns."""
        return max((one.largest for one in self.differences), default=0.0)

    @property
    def beyond(self) -> int:
        """Return the largest number of rows that differ by more than ``TOLERANCE`` in one column."""
        return max((one.beyond for one in self.differences), default=0)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "largest": self.largest}


def compare(
    wanted: Mapping[str, Array],
    found: Mapping[str, Array],
    points: Sequence[DiscriminatorPoints],
    labels: Array,
    weights: Array,
    classes: Sequence[str],
    scales: Mapping[str, float],
) -> Agreement:
    """Compare columns (N,) or (N, L) of checkpoint and graph; columns that a layout does not have are left out."""
    names = [name for name in wanted if name in found]
    differences = tuple(difference(name, wanted[name], found[name], scales.get(name, 1.0)) for name in names)
    sides, auc = [], {}
    for entry in points:
        name = entry.discriminator
        if name not in found:
            continue
        before, after = wanted[name].astype(np.float64), found[name].astype(np.float64)
        for point in entry.points:
            if point.threshold is not None:
                sides.append(_side(name, point.name, point.threshold, before, after))
        signal, background = sides_of(entry, labels, classes)
        rows = signal | background
        if signal.any() and background.any():
            auc[name] = tuple(
                float(roc_curve(scores[rows], signal[rows], weights[rows]).auc) for scores in (before, after)
            )
    return Agreement(len(next(iter(wanted.values()))), differences, tuple(sides), auc)  # type: ignore[arg-type]


def sides_of(entry: DiscriminatorPoints, labels: Array, classes: Sequence[str]) -> tuple[Array, Array]:
    """Return flags (N,) of the signal and the background rows of a discriminator."""
    signal, background = (
        np.isin(labels, [classes.index(name) for name in side]) for side in (entry.signal, entry.background)
    )
    return signal, background


def scale_of(values: Array) -> float:
    """Return the scale of an estimate (N,): half the distance between its 16th and 84th percentile, or 1 if this is 0."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [16, 84]) if len(finite) else (0.0, 0.0)
    return float(high - low) / 2 or 1.0


def estimates_of(predictions: Predictions) -> dict[str, Array]:
    """Return all estimates of each value, together with the columns of its uncertainty, as one array."""
    found = {}
    for name, values in predictions.values.items():
        spread = predictions.uncertainties[name].columns.values() if name in predictions.uncertainties else ()
        found[name] = np.concatenate([values, *spread])
    return found


def scales_of_columns(columns: Sequence[str], estimates: Mapping[str, Array]) -> dict[str, float]:
    """Return the scale of each column ``pred_<value>...``, which is the spread of the estimates; other columns have scale 1."""
    scales = {}
    for column in columns:
        of = [value for value in estimates if column == f"pred_{value}" or column.startswith(f"pred_{value}_")]
        if of:
            scales[column] = scale_of(estimates[max(of, key=len)])
    return scales


def scales_of_outputs(
    scales: Mapping[str, float], places: Mapping[str, tuple[str, int]], outputs: Sequence[Tensor]
) -> dict[str, float | list[float]]:
    """Return the scales of the outputs of a layout, from the scales and places of columns."""
    found: dict[str, float | list[float]] = {}
    for output in outputs:
        own = {
            place: scales[column]
            for column, (name, place) in places.items()
            if name == output.name and column in scales
        }
        size = output.shape[-1] if output.shape else 1
        if own and isinstance(size, int) and size > 1:
            found[output.name] = [own.get(place, 1.0) for place in range(size)]
        elif own:
            found[output.name] = max(own.values())
    return found


def rows_beyond(wanted: Mapping[str, Array], found: Mapping[str, Array], scales: Mapping[str, float]) -> set[int]:
    """Return the indices of the rows that differ by more than ``TOLERANCE`` in any column."""
    rows: set[int] = set()
    for name in wanted:
        if name in found:
            apart = relative(wanted[name], found[name], scales.get(name, 1.0))
            rows |= set(np.flatnonzero(apart.reshape(len(apart), -1).max(axis=1, initial=0.0) > TOLERANCE).tolist())
    return rows


def relative(wanted: Array, found: Array, scale: float) -> Array:
    """Return differences relative to the larger of a scale and the value; infinite if only one of the two is finite."""
    a, b = wanted.astype(np.float64), found.astype(np.float64)
    apart = np.abs(a - b) / np.maximum(np.abs(a), scale)
    same: Array = np.where(np.isnan(a) & np.isnan(b) | (a == b), 0.0, np.nan_to_num(apart, nan=np.inf))
    return same


def difference(name: str, wanted: Array, found: Array, scale: float = 1.0) -> Difference:
    """Return the difference of one column."""
    apart = relative(wanted, found, scale)
    per_row = apart.reshape(len(apart), -1).max(axis=1, initial=0.0)
    if not len(per_row):
        return Difference(name, 0.0, 0.0, -1)
    beyond = int((per_row > TOLERANCE).sum())
    return Difference(name, float(per_row.max()), float(apart.mean()), int(per_row.argmax()), beyond)


def _side(name: str, point: str, threshold: float, before: Array, after: Array) -> Side:
    changed = (before >= threshold) != (after >= threshold)
    near = changed & (np.abs(before - threshold) < EQUAL) & (np.abs(after - threshold) < EQUAL)
    return Side(name, point, threshold, int(changed.sum()), int(near.sum()))
