"""Comparison of two taggers on the same rows: the difference, and the error of the difference."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.few_rows import FEW
from collidekit.evaluation.classification.roc_result import RocResult
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.rows import Floats


@dataclass(frozen=True)
class Difference:
    """The difference a - b with the error of the paired bootstrap; ``better`` is None if it is within ``sigmas`` errors.

    ``value`` is None if one of the two is only a limit, or has too few rows; ``reason`` says which.
    """

    quantity: str
    value: float | None
    error: float | None
    better: str | None
    reason: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.quantity}: not comparable, {self.reason}"
        verdict = f"{self.better} is better" if self.better else "no difference within the error"
        return f"{self.quantity}: {with_error(self.value, self.error)} ({verdict})"


@dataclass(frozen=True)
class PairedDifference:
    """Differences of AUC and of 1/eB at each target efficiency."""

    a: str
    b: str
    sigmas: float
    auc: Difference
    rejections: tuple[Difference, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def paired_difference(a: RocResult, b: RocResult, sigmas: float = 2.0) -> PairedDifference:
    """Return a - b; a tagger is better only if the difference exceeds ``sigmas`` times its error.

    Raises CollidekitError if a and b were not measured on the same rows with the same random seed and replicates.
    """
    ours, theirs = a.replicates, b.replicates
    if ours.rows != theirs.rows or ours.targets != theirs.targets:
        raise CollidekitError(
            f"{a.name} and {b.name} were not measured on the same rows, which a paired comparison needs"
        )
    if ours.seed != theirs.seed or len(ours.auc) != len(theirs.auc):
        raise CollidekitError(
            f"{a.name} and {b.name} must have the same bootstrap seed and number of replicates for a paired comparison"
        )

    def difference(quantity: str, value: float, replicates: Floats) -> Difference:
        error = float(np.nanstd(replicates, ddof=1))
        better = (a.name if value > 0 else b.name) if abs(value) > sigmas * error else None
        return Difference(quantity, value, error, better)

    few = _too_few(a)
    rejections = []
    for index, (mine, other) in enumerate(zip(a.rejections, b.rejections, strict=True)):
        quantity = f"1/εB at εS = {mine.signal_efficiency:g}"
        if few or mine.limit or other.limit:
            reason = few or "no background survives"
            rejections.append(Difference(quantity, None, None, None, reason))
            continue
        # linear propagation, d(1/e) = -de/e^2: stays finite where a replicate has no background left
        change = (
            other.value**2 * theirs.background_efficiency[:, index]
            - mine.value**2 * ours.background_efficiency[:, index]
        )
        rejections.append(difference(quantity, mine.value - other.value, change))
    auc = Difference("AUC", None, None, None, few) if few else difference("AUC", a.auc - b.auc, ours.auc - theirs.auc)
    return PairedDifference(a.name, b.name, sigmas, auc, tuple(rejections))


def _too_few(result: RocResult) -> str:
    """Return which class has too few rows for the error of a difference, which the bootstrap would underestimate."""
    rows = {"signal": result.signal_rows, "background": result.background_rows}
    side = min(rows, key=lambda name: rows[name])
    return f"{rows[side]} {side} rows are too few" if rows[side] < FEW else ""
