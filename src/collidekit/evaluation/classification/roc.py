"""The ROC curve of weighted rows: one point for each distinct score."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.rejection import Rejection
from collidekit.evaluation.rows import BinaryRows, Floats, Ints, binary_rows

ZERO_COUNT_LIMIT = 2.996
"""Poisson: if more rows than this are expected, at least one is seen in 95 % of the cases."""


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Points of a ROC curve with falling threshold, shapes (P,): a row is kept if score >= threshold.

    The first point keeps nothing (threshold = infinity, efficiencies 0), the last keeps all. ``kept_signal`` and
    ``kept_background`` are unweighted row counts. With negative weights, efficiencies may fall from point to point.
    """

    thresholds: Floats
    signal_efficiencies: Floats
    background_efficiencies: Floats
    kept_signal: Ints
    kept_background: Ints
    background_weight: float
    """Sum of the background weights."""
    background_weight2: float
    """Sum of the squared background weights."""

    @cached_property
    def auc(self) -> float:
        """Return the probability that a signal row scores above a background row; ties count half (weighted Mann-Whitney)."""
        heights = self.signal_efficiencies[1:] + self.signal_efficiencies[:-1]
        return float(np.sum(heights * np.diff(self.background_efficiencies)) / 2)

    def point(self, signal_efficiency: float) -> int:
        """Return the index of the tightest threshold that reaches a signal efficiency."""
        if not 0 < signal_efficiency <= 1:
            raise CollidekitError(f"signal efficiency {signal_efficiency:g} must be above 0 and at most 1")
        return int(self.points(np.array([signal_efficiency]))[0])

    def points(self, signal_efficiencies: Floats) -> Ints:
        """Return the indices of ``point`` for many signal efficiencies (T,)."""
        return first_reaching(self.signal_efficiencies, signal_efficiencies)

    def background_efficiency(self, signal_efficiency: float) -> float:
        return float(self.background_efficiencies[self.point(signal_efficiency)])

    def rejection(self, signal_efficiency: float) -> Rejection:
        """Return 1/eB, or its lower limit if no background survives. Errors come from the bootstrap (``measure_roc``)."""
        index = self.point(signal_efficiency)
        efficiency, surviving = float(self.background_efficiencies[index]), int(self.kept_background[index])
        limit = surviving == 0 or efficiency <= 0
        return Rejection(
            signal_efficiency=signal_efficiency,
            threshold=float(self.thresholds[index]),
            background_efficiency=efficiency,
            value=self._lower_limit(surviving) if limit else 1 / efficiency,
            surviving=surviving,
            limit=limit,
        )

    @property
    def limit(self) -> float:
        """Return the upper limit of the background efficiency at 95 % confidence if no background survives."""
        return 1 / self._lower_limit(0)

    def _lower_limit(self, surviving: int) -> float:
        """Return the lower limit of 1/eB, if the surviving weight is 0 or (with negative weights) less."""
        effective = self.background_weight**2 / self.background_weight2
        return float(effective / (ZERO_COUNT_LIMIT + 1.645 * np.sqrt(surviving)))

    def thinned(self, points: int = 2000) -> Ints:
        """Return indices of at most about ``2 * points`` points, evenly spaced in signal efficiency and in log background efficiency."""
        even = np.linspace(0, 1, points)
        log = np.log(np.maximum(self.background_efficiencies, 1e-9))
        picks = [
            np.searchsorted(np.maximum.accumulate(axis), axis[0] + even * (axis[-1] - axis[0]))
            for axis in (self.signal_efficiencies, log)
        ]
        picks.append(np.array([0, len(log) - 1]))
        return np.unique(np.minimum(np.concatenate(picks), len(log) - 1))


def first_reaching(efficiency: Floats, targets: Floats, rising: bool = False) -> Ints:
    """Return the first index at which a curve reaches each target, with a tolerance for rounding."""
    rising_curve = efficiency if rising else np.maximum.accumulate(efficiency)
    return np.minimum(np.searchsorted(rising_curve, targets * (1 - 1e-12)), len(efficiency) - 1)


def roc_curve(scores: ArrayLike, is_signal: ArrayLike, weights: ArrayLike | None = None) -> RocCurve:
    """Return the ROC curve of scores (N,) with truth (N,) and weights (N,), which may be negative."""
    return curve_of(binary_rows(scores, is_signal, weights))


def curve_of(rows: BinaryRows) -> RocCurve:
    order = np.argsort(-rows.scores, kind="stable")
    scores, signal, weights = rows.scores[order], rows.is_signal[order], rows.weights[order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    kept_signal = np.cumsum(signal)[ends]
    kept_weight = [np.cumsum(np.where(side, weights, 0.0))[ends] for side in (signal, ~signal)]
    background = weights[~signal]
    return RocCurve(
        thresholds=np.append(np.inf, scores[ends].astype(np.float64)),
        signal_efficiencies=np.append(0.0, kept_weight[0] / kept_weight[0][-1]),
        background_efficiencies=np.append(0.0, kept_weight[1] / kept_weight[1][-1]),
        kept_signal=np.append(0, kept_signal),
        kept_background=np.append(0, ends + 1 - kept_signal),
        background_weight=float(background.sum()),
        background_weight2=float((background**2).sum()),
    )
