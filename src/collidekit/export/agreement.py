"""Agreement of a graph in onnxruntime with the checkpoint on real rows: differences, AUC, working points."""

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
"""Scores that differ by less from a threshold may lie on either side of it."""
TOLERANCE = 1e-5
"""By which a column may differ in single precision."""
RARE = 1e-4
"""The part of all rows that may differ by more where a network picks one of several nearly equal things, such as nearest neighbours."""


@frozen
class Difference:
    """Differences of one column over all rows, relative to the larger of its scale and the value itself."""

    column: str
    largest: float
    mean: float
    row: int
    """File and entry of the row with the largest difference."""
    beyond: int = 0
    """Rows that differ by more than ``TOLERANCE``."""


@frozen
class Side:
    """Rows that a working point accepts with one form and refuses with the other."""

    discriminator: str
    point: str
    threshold: float
    changed: int
    near: int
    """Those of them whose score is within ``EQUAL`` of the threshold in both forms."""


@frozen
class Cost:
    """Costs and gains of a reduced precision: of the graph in single precision first, then of the reduced one."""

    precision: str
    rejection: dict[str, tuple[float | None, float | None]]
    """Rejection of each discriminator: 1 / background efficiency at 50 % signal efficiency, weighted; None where no background passes."""
    efficiencies: dict[str, dict[str, tuple[float, float, float, float]]]
    """At each working point of each discriminator: of signal before and after, of background before and after."""
    size: tuple[int, int]
    """In bytes, of all graphs."""
    time_ratio: float
    """Time per row of the reduced graph over that of the other, a row a call, median of rows."""
    threads: int


@frozen
class Agreement:
    """Agreement over all rows that were compared."""

    rows: int
    differences: tuple[Difference, ...]
    sides: tuple[Side, ...]
    auc: dict[str, tuple[float, float]]
    """AUC of each discriminator, by the checkpoint and by the graph."""
    cost: Cost | None = None
    """Costs and gains of a graph that is not in single precision."""

    @property
    def largest(self) -> float:
        return max((one.largest for one in self.differences), default=0.0)

    @property
    def beyond(self) -> int:
        """Rows that differ by more than ``TOLERANCE`` in the column where most do."""
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
    """Compare columns (N,) or (N, L) of the checkpoint with those of the graph; columns that a layout lacks are left out."""
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
    """Return the signal and the background rows (N,) of a discriminator, as conditions."""
    signal, background = (
        np.isin(labels, [classes.index(name) for name in side]) for side in (entry.signal, entry.background)
    )
    return signal, background


def scale_of(values: Array) -> float:
    """Return what differences of an estimate (N,) are relative to: half the range of its 16th to 84th percentile, 1 where it is 0."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [16, 84]) if len(finite) else (0.0, 0.0)
    return float(high - low) / 2 or 1.0


def estimates_of(predictions: Predictions) -> dict[str, Array]:
    """Return all estimates of each value, with those that say how uncertain it is, as one array."""
    found = {}
    for name, values in predictions.values.items():
        spread = predictions.uncertainties[name].columns.values() if name in predictions.uncertainties else ()
        found[name] = np.concatenate([values, *spread])
    return found


def scales_of_columns(columns: Sequence[str], estimates: Mapping[str, Array]) -> dict[str, float]:
    """Return the scale of each column ``pred_<value>...``, the spread of the estimates of its value; all other columns have 1."""
    scales = {}
    for column in columns:
        of = [value for value in estimates if column == f"pred_{value}" or column.startswith(f"pred_{value}_")]
        if of:
            scales[column] = scale_of(estimates[max(of, key=len)])
    return scales


def scales_of_outputs(
    scales: Mapping[str, float], places: Mapping[str, tuple[str, int]], outputs: Sequence[Tensor]
) -> dict[str, float | list[float]]:
    """Return the scales of the outputs of a layout, from those of columns and the places where these stand."""
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
    """Return the rows that differ by more than ``TOLERANCE`` in some column."""
    rows: set[int] = set()
    for name in wanted:
        if name in found:
            apart = relative(wanted[name], found[name], scales.get(name, 1.0))
            rows |= set(np.flatnonzero(apart.reshape(len(apart), -1).max(axis=1, initial=0.0) > TOLERANCE).tolist())
    return rows


def relative(wanted: Array, found: Array, scale: float) -> Array:
    """Return differences relative to the larger of a scale and the value, infinite where only one of both is finite."""
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
