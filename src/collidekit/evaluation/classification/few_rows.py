"""Errors of AUC and rejections for few rows, where the bootstrap underestimates them."""

from dataclasses import replace

import numpy as np

from collidekit.evaluation.classification.rejection import Rejection
from collidekit.evaluation.classification.roc import RocCurve
from collidekit.evaluation.rows import Floats

FEWEST_SIGNAL = 5
"""Minimum number of signal rows for an error of a threshold at a signal efficiency."""

FEW = 20
"""Minimum number of rows of a class for bootstrap errors alone."""

LEAST_ROWS = 3
"""Minimum number of surviving background rows: drawn ROC curves end there."""


def auc_error(spread: float, auc: float, signal_rows: int, background_rows: int) -> float:
    """Return the bootstrap error of an AUC; with few rows of a class, at least the Hanley-McNeil error."""
    few = min(signal_rows, background_rows) < FEW
    return max(spread, hanley_mcneil(auc, signal_rows, background_rows)) if few else spread


def hanley_mcneil(auc: float, signal_rows: int, background_rows: int) -> float:
    """Return the Hanley-McNeil error of an AUC, which is kept away from 0 and 1, where the formula gives no error."""
    edge = 0.25 / (min(signal_rows, background_rows) + 1)
    auc = min(max(auc, edge), 1 - edge)
    signal_pairs, background_pairs = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (signal_rows - 1) * (signal_pairs - auc**2)
    variance += (background_rows - 1) * (background_pairs - auc**2)
    return float(np.sqrt(variance / (signal_rows * background_rows)))


def rejection_with_errors(curve: RocCurve, rejection: Rejection, efficiencies: Floats, signal_rows: int) -> Rejection:
    """Return a rejection with errors from replicates (R,) of eB; the error is propagated to 1/eB, so eB = 0 in a replicate is no problem.

    With few signal rows, the error is at least half of the change of eB between the signal efficiencies one binomial error
    below and above.
    """
    spread = float(np.nanstd(efficiencies, ddof=1))
    if signal_rows < FEWEST_SIGNAL:
        return replace(rejection, few_signal_rows=True)
    if signal_rows < FEW:
        aim = rejection.signal_efficiency
        sides = np.clip(aim + np.array([-1, 1]) * np.sqrt(aim * (1 - aim) / signal_rows), 1e-9, 1)
        low, high = curve.background_efficiencies[curve.points(sides)]
        spread = max(spread, float(high - low) / 2)
    if rejection.limit:
        return replace(rejection, background_efficiency_error=spread)
    low, high = np.nanpercentile(efficiencies, [15.87, 84.13])
    return replace(
        rejection,
        background_efficiency_error=spread,
        error=spread * rejection.value**2,
        interval=(1 / high if high > 0 else None, 1 / low if low > 0 else None),
    )
