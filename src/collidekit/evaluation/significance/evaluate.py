"""Significance of a signal in the window of the figure of merit, for any selection of rows, with errors."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from collidekit.analysis.figure_of_merit import FigureOfMerit
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.roc import ZERO_COUNT_LIMIT
from collidekit.evaluation.significance.sculpting import jensen_shannon
from collidekit.inference.predictions import Predictions
from collidekit.objectives.significance import Significance

Array = np.ndarray[Any, Any]
FEWEST = 10
"""Minimum number of signal rows above a threshold."""


@dataclass(frozen=True)
class Measured:
    """Expected signal and background in the window after a selection, and their significance with its error."""

    signal: float
    background: float
    value: float
    error: float
    """Error from the simulated rows that are left, not from the expected data."""
    coverage: float
    """Fraction of all expected events, inside and outside the window, that the selection keeps."""
    rows: int
    """Number of rows of the sample that are left in the window."""
    limit: bool = False
    """True if no background row is left: the value is a lower limit, at the 95 % upper limit of the background."""


class SignificanceEvaluator:
    """Rows of some predictions, with weights that scale each class to the expected number of events."""

    def __init__(self, predictions: Predictions, merit: FigureOfMerit) -> None:
        classes = list(predictions.classes)
        known = predictions.labels >= 0
        sums = np.bincount(predictions.labels[known], predictions.weights[known], len(classes))
        if missing := [name for name, total in zip(classes, sums, strict=True) if total <= 0]:
            raise CollidekitError(f"the test rows contain no row of class {missing[0]!r}, which the significance needs")
        scale = np.array(merit.expected(dict(zip(classes, sums.tolist(), strict=True)))) / sums
        self.predictions, self.merit = predictions, merit
        self.significance = Significance.of(merit)
        self.yields: Array = np.where(known, predictions.weights * scale[np.maximum(predictions.labels, 0)], 0.0)
        self.of_signal: Array = np.array(merit.is_signal(classes))
        self.is_signal: Array = known & self.of_signal[np.maximum(predictions.labels, 0)]
        low, high = merit.limits
        self.figure: Array = predictions.spectators[merit.variable]
        self.in_window: Array = (self.figure >= low) & (self.figure <= high)

    def measure(self, chosen: Array) -> Measured:
        """Return the significance of a selection (N,) of rows; the error propagates the squared weights of both classes.

        Without a background row, the background is below a limit instead of 0, and the significance is above a limit.
        """
        kept = chosen & self.in_window
        sides = [self.yields[kept & side] for side in (self.is_signal, ~self.is_signal)]
        s, b = (float(side.sum()) for side in sides)
        coverage = float(self.yields[chosen].sum() / self.yields.sum())
        if s <= 0:
            return Measured(s, b, 0.0, 0.0, coverage, int(kept.sum()))
        if limit := not len(sides[1]):
            b = ZERO_COUNT_LIMIT * float(self.yields[self.background()].mean())
        value, by_signal, by_background = self.significance.slopes(s, b)
        error = float(
            np.hypot(by_signal * np.sqrt((sides[0] ** 2).sum()), by_background * np.sqrt((sides[1] ** 2).sum()))
        )
        return Measured(s, b, value, error, coverage, int(kept.sum()), limit)

    def everything(self) -> Array:
        """Return the selection of all rows."""
        return np.ones(len(self.yields), dtype=bool)

    def called(self) -> Array:
        """Return the rows that are predicted as signal: this class is more probable than every other, and than relegation."""
        p = self.predictions.probabilities
        decided = p.argmax(axis=1)
        chosen: Array = self.of_signal[decided]
        if self.predictions.relegated is not None:
            chosen = chosen & (p.max(axis=1) > self.predictions.relegated)
        return chosen

    def relegated(self) -> Array:
        """Return the rows that the network relegates."""
        found = self.predictions.relegated
        return (
            np.zeros(len(self.yields), dtype=bool)
            if found is None
            else found >= self.predictions.probabilities.max(axis=1)
        )

    def score(self) -> Array:
        """Return P(signal) / (P(signal) + P(background)), without relegation."""
        p = self.predictions.probabilities.astype(np.float64)
        signal, total = p[:, self.of_signal].sum(axis=1), p.sum(axis=1)
        found: Array = np.divide(signal, total, out=np.zeros_like(signal), where=total > 0)
        return found

    def curve(self) -> tuple[Array, Array, Array]:
        """Return falling thresholds on the score, and the significance and the coverage above each."""
        score = self.score()
        order = np.argsort(-score, kind="stable")
        yields, inside, signal = self.yields[order], self.in_window[order], self.is_signal[order]
        s, b = (np.cumsum(yields * inside * side) for side in (signal, ~signal))
        last = np.append(np.diff(score[order]) != 0, True)  # equal scores share a threshold
        enough = np.cumsum(inside & signal) >= FEWEST
        at = last & enough
        if not at.any():
            raise CollidekitError(
                f"fewer than {FEWEST} signal rows are in the window, which is too few to tune a threshold"
            )
        covered = np.cumsum(yields) / yields.sum()
        return score[order][at], self.significance(s[at], b[at]), covered[at]

    def best_threshold(self) -> float:
        """Return the threshold on the score with the largest significance in these rows."""
        thresholds, significance, _ = self.curve()
        return float(thresholds[int(np.argmax(significance))])

    def sculpting(self, efficiency: float) -> tuple[float, float]:
        """Return the Jensen-Shannon divergence of the background's figure of merit above and below the score with this signal efficiency."""
        score, background = self.score(), self.background()
        order = np.argsort(-score[self.is_signal], kind="stable")
        kept = np.cumsum(self.yields[self.is_signal][order])
        threshold = score[self.is_signal][order][int(np.searchsorted(kept, efficiency * kept[-1]))]
        chosen = score[background] >= threshold
        return jensen_shannon(self.figure[background], self.yields[background], chosen)

    def background(self) -> Array:
        """Return the rows (N,) of a known class that is not signal."""
        found: Array = (self.predictions.labels >= 0) & ~self.is_signal
        return found
