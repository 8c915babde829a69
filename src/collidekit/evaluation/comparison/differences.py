"""Difference of two contenders with its error from the test rows (paired if they are the same) and from the seeds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from collidekit.evaluation.classification.comparison import Difference
from collidekit.evaluation.classification.few_rows import FEW, FEWEST_SIGNAL
from collidekit.evaluation.comparison.curves import ComparedCurve
from collidekit.evaluation.rows import Floats

SIGMAS = 2.0
"""Minimum difference in units of its error for a verdict."""


@dataclass(frozen=True)
class ComparedDifference:
    """Difference ``name`` - ``reference`` in AUC and in 1/eB at each signal efficiency."""

    name: str
    reference: str
    paired: bool
    auc: Difference
    rejections: tuple[Difference, ...]

    @property
    def entries(self) -> tuple[Difference, ...]:
        return (self.auc, *self.rejections)

    def as_dicts(self, discriminator: str) -> list[dict[str, Any]]:
        """Return one record for each quantity."""
        return [
            {
                "discriminator": discriminator,
                "name": self.name,
                "reference": self.reference,
                "quantity": entry.quantity,
                "difference": entry.value,
                "error": entry.error,
                "significance": significance(entry),
                "better": entry.better,
                "paired": self.paired,
                "reason": entry.reason,
            }
            for entry in self.entries
        ]


def significance(entry: Difference) -> float | None:
    """Return the difference in units of its error; None if one of them is unknown."""
    return entry.value / entry.error if entry.value is not None and entry.error else None


def compare_curves(curve: ComparedCurve, reference: ComparedCurve) -> ComparedDifference:
    """Compare two curves of one discriminator.

    On the same rows the error is from the paired bootstrap, else the errors are added in quadrature. With several seeds
    the values are means, and the errors of the means over the seeds are added.
    """
    paired = curve.rows == reference.rows
    few = _too_few(curve) or _too_few(reference)

    def difference(quantity: str, value: float, ours: Floats, theirs: Floats, of_seeds: float) -> Difference:
        each = float(np.hypot(np.nanstd(ours, ddof=1), np.nanstd(theirs, ddof=1)))
        spread = float(np.nanstd(ours - theirs, ddof=1)) if paired else each
        error = float(np.hypot(spread, of_seeds))
        better = (curve.name if value > 0 else reference.name) if error > 0 and abs(value) > SIGMAS * error else None
        return Difference(quantity, value, error, better)

    def unknown(quantity: str, reason: str) -> Difference:
        return Difference(quantity, None, None, None, reason)

    def seed_error(values: list[list[float]]) -> float:
        """Return the error of the difference of two means."""
        return float(np.sqrt(sum(np.var(entry, ddof=1) / len(entry) for entry in values if len(entry) > 1)))

    sides = (curve, reference)
    aucs = [[result.auc for result in side.results] for side in sides]
    auc = (
        unknown("AUC", few)
        if few
        else difference(
            "AUC", curve.auc - reference.auc, curve.auc_replicates, reference.auc_replicates, seed_error(aucs)
        )
    )
    rejections = []
    for index, target in enumerate(curve.first.replicates.targets):
        quantity = f"1/εB at εS = {target:g}"
        each = [[result.rejections[index].background_efficiency for result in side.results] for side in sides]
        mean = [float(np.mean(values)) for values in each]
        reason = few or _no_rejection(curve, reference, index) or ("" if min(mean) > 0 else "no background survives")
        if reason:
            rejections.append(unknown(quantity, reason))
            continue
        # linear propagation, d(1/e) = -de/e^2: stays finite where a replicate has no background left
        ours, theirs = (
            -np.mean([result.replicates.background_efficiency[:, index] for result in side.results], axis=0) / value**2
            for side, value in zip(sides, mean, strict=True)
        )
        scaled = [[entry / value**2 for entry in values] for values, value in zip(each, mean, strict=True)]
        rejections.append(difference(quantity, 1 / mean[0] - 1 / mean[1], ours, theirs, seed_error(scaled)))
    return ComparedDifference(curve.name, reference.name, paired, auc, tuple(rejections))


def _no_rejection(curve: ComparedCurve, reference: ComparedCurve, index: int) -> str:
    for side in (curve, reference):
        found = [result.rejections[index] for result in side.results]
        if side.seeds == 1 and found[0].limit:
            return "no background survives"
        if any(rejection.few_signal_rows for rejection in found):
            return f"fewer than {FEWEST_SIGNAL} signal rows"
    return ""


def _too_few(curve: ComparedCurve) -> str:
    """Return which class has too few rows for the error of a difference, which the bootstrap would underestimate."""
    rows = {"signal": curve.first.signal_rows, "background": curve.first.background_rows}
    side = min(rows, key=lambda name: rows[name])
    return f"{rows[side]} {side} rows are too few" if rows[side] < FEW else ""
