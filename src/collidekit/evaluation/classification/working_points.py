"""Working points: thresholds for given mistag rates or signal efficiencies."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from collidekit.evaluation.binomial import Efficiency, efficiency
from collidekit.evaluation.classification.roc import RocCurve, curve_of
from collidekit.evaluation.rows import BinaryRows, binary_rows
from collidekit.files import plain
from collidekit.inference.predictions import Predictions
from collidekit.shown import html_table

Kind = Literal["mistag", "efficiency"]


@dataclass(frozen=True)
class WorkingPoint:
    """A working point: rows with score >= threshold are tagged. ``threshold`` is None if it cannot be reached; ``reason`` says why.

    The threshold is the loosest one that does not exceed a mistag rate, or the tightest one that reaches a signal efficiency.
    """

    kind: Kind
    target: float
    threshold: float | None
    reason: str | None = None
    signal_efficiency: Efficiency | None = None
    background_efficiency: Efficiency | None = None
    class_efficiencies: dict[str, Efficiency] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return ``mistag_0.01`` or ``efficiency_0.7``: the key in the written files."""
        return f"{self.kind}_{self.target:g}"


@dataclass(frozen=True)
class DiscriminatorPoints:
    """All working points of one discriminator."""

    discriminator: str
    signal: tuple[str, ...]
    background: tuple[str, ...]
    points: tuple[WorkingPoint, ...]

    def _repr_html_(self) -> str:
        rows = [
            (point.name, "none", point.reason or "", "")
            if point.threshold is None
            else (point.name, point.threshold, str(point.signal_efficiency), str(point.background_efficiency))
            for point in self.points
        ]
        title = f"{self.discriminator}: {' + '.join(self.signal)} against {' + '.join(self.background)}"
        return html_table(title, rows, ("working point", "threshold", "signal efficiency", "mistag rate"))

    def as_dict(self) -> dict[str, Any]:
        content: dict[str, Any] = plain(asdict(self))
        for entry, point in zip(content["points"], self.points, strict=True):
            entry["name"] = point.name
        return content


def working_points(
    predictions: Predictions, mistag_rates: Sequence[float] = (), efficiencies: Sequence[float] = ()
) -> list[DiscriminatorPoints]:
    """Return the thresholds of every discriminator of the predictions, with the efficiency of every class at each."""
    return [points_of_discriminator(predictions, name, mistag_rates, efficiencies) for name in predictions.definitions]


def points_of_discriminator(
    predictions: Predictions, name: str, mistag_rates: Sequence[float], efficiencies: Sequence[float]
) -> DiscriminatorPoints:
    """Return the thresholds of one discriminator, with the efficiency of every class at each."""
    definition, scores = predictions.definitions[name], predictions.discriminator(name)
    rows = binary_rows(*predictions.task(name))
    curve = curve_of(rows)
    points = []
    for kind, targets in (("mistag", mistag_rates), ("efficiency", efficiencies)):
        for target in targets:
            point = find_threshold(rows, curve, kind, target)  # type: ignore[arg-type]
            if point.threshold is not None:
                for index, label in enumerate(predictions.classes):
                    chosen = predictions.labels == index
                    if predictions.weights[chosen].sum() > 0:
                        tagged = scores[chosen] >= point.threshold
                        point.class_efficiencies[label] = efficiency(tagged, predictions.weights[chosen])
            points.append(point)
    return DiscriminatorPoints(name, tuple(definition.signal), tuple(definition.background), tuple(points))


def find_threshold(rows: BinaryRows, curve: RocCurve, kind: Kind, target: float) -> WorkingPoint:
    """Return one working point on the curve of the rows; the threshold lies halfway between two scores that occur."""
    if not 0 < target < 1:
        return WorkingPoint(kind, target, None, f"the rate {target:g} must be between 0 and 1")
    if kind == "efficiency":
        index = curve.point(target)
    else:
        background = np.maximum.accumulate(curve.background_efficiencies)
        index = int(np.searchsorted(background, target * (1 + 1e-12), side="right")) - 1
        if reason := _unreachable(curve, index, target):
            return WorkingPoint(kind, target, None, reason)
    threshold = _between(curve.thresholds, index)
    tagged = rows.scores >= threshold
    signal, background_ = (efficiency(tagged[side], rows.weights[side]) for side in (rows.is_signal, ~rows.is_signal))
    return WorkingPoint(kind, target, threshold, None, signal, background_)


def _unreachable(curve: RocCurve, index: int, target: float) -> str | None:
    total = int(curve.kept_background[-1])
    if index == 0 and curve.kept_background[1] > 0:
        tightest = curve.background_efficiencies[1]
        return f"the highest score occurs {curve.kept_background[1]} times in background: no cut reaches less than {tightest:.3g}"
    if curve.kept_background[index] == 0:
        return f"none of {total} background rows is left at {target:g}: the sample is too small"
    return None


def _between(thresholds: np.ndarray[Any, np.dtype[np.float64]], index: int) -> float:
    """Return the value halfway to the next lower score: a score that another program rounds stays on the same side."""
    upper = thresholds[index]
    if index + 1 == len(thresholds):
        return float(upper)
    lower = thresholds[index + 1]
    middle = lower + (upper - lower) / 2
    return float(middle if middle > lower else upper)
