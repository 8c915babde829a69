"""The predictions of all runs for one sample, beside its truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from collidekit.benchmark.scoring.failures import ScoringError, UnfitPredictions
from collidekit.benchmark.scoring.plan import ScoringPlan
from collidekit.benchmark.scoring.ties import odds_places
from collidekit.benchmark.scoring.truth import Truth
from collidekit.evaluation.classification.bootstrap import poisson_weights
from collidekit.evaluation.rows import Floats, Ints

BACKGROUND, SIGNAL = "background", "signal"
"""Names of the classes where the benchmark names none: labels 0 and 1."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Predictions (R, N, C): runs, rows in the order of the truth, columns of the benchmark's output."""

    name: str
    plan: ScoringPlan
    truth: Truth
    predictions: Floats

    @property
    def runs(self) -> int:
        return len(self.predictions)

    def column(self, name: str) -> Floats:
        """Return the predictions (R, N) of a column."""
        if name not in self.plan.columns:
            raise ScoringError(f"the predictions have no column {name!r}; they have {', '.join(self.plan.columns)}")
        return self.predictions[:, :, self.plan.columns.index(name)]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return self.plan.classes or (self.plan.background or BACKGROUND, self.plan.signal or SIGNAL)

    @cached_property
    def labels(self) -> Ints:
        """The index (N,) of the true class of each row: the truth holds it, or the name of the class."""
        found = self.truth.column(self.plan.truth_column)
        index = {name: k for k, name in enumerate(self.classes)}
        if found.dtype.kind == "U":
            labels = np.array([index.get(name, -1) for name in found.tolist()], dtype=np.int64)
        else:
            self._check_numerals()
            labels = np.where(np.isin(found, range(len(index))), found, -1).astype(np.int64)
        if (labels < 0).any():
            row = int(np.flatnonzero(labels < 0)[0])
            shown = f"'{found[row]}'" if found.dtype.kind == "U" else found[row]
            raise ScoringError(
                f"{self.name}: row {self.truth.keys[row]} of the truth has {self.plan.truth_column} {shown}; it must be a number "
                f"from 0 to {len(index) - 1} or a name of the classes {', '.join(self.classes)}"
            )
        return labels

    def _check_numerals(self) -> None:
        """Refuse classes such as ``"1", "0"`` beside a truth of numbers, which could be names or indices."""
        for index, name in enumerate(self.classes):
            if name.isdigit() and int(name) != index:
                raise ScoringError(
                    f"{self.name}: {self.plan.truth_column} of the truth is a number, the index of the class; but the class with index {index} "
                    f"has the name {name!r}: rename the classes, or write their names as text in the truth"
                )

    @cached_property
    def probabilities(self) -> Floats:
        """Probabilities (R, N, K) of the classes; of two classes, the benchmark may ask for one only."""
        columns, classes = self.plan.columns, self.classes
        self._check_range()
        if set(classes) <= set(columns):
            found = np.stack([self.column(name) for name in classes], axis=2)
            sums = found.sum(axis=2)
            if (off := np.abs(sums - 1) > 1e-3).any():
                run, row = np.argwhere(off)[0]
                raise UnfitPredictions(
                    f"{self.name}: the probabilities of the classes must add up to 1; in row {self.truth.keys[row]}{self._of_run(run)} they "
                    f"add up to {sums[run, row]:.6g}"
                )
            return found
        one = self.predictions[:, :, 0]
        pair = (one, 1 - one) if self.single == classes[0] else (1 - one, one)
        return np.stack(pair, axis=2)

    @property
    def single(self) -> str:
        """The class that the only column of predictions stands for: the class of its name, else the signal."""
        name = self.plan.columns[0]
        return name if name in self.classes else (self.plan.signal or self.classes[-1])

    def _check_range(self) -> None:
        bad = (self.predictions < -1e-6) | (self.predictions > 1 + 1e-6)
        if bad.any():
            run, row, column = np.argwhere(bad)[0]
            raise UnfitPredictions(
                f"{self.name}: {self.plan.columns[column]} must be a probability between 0 and 1; in row "
                f"{self.truth.keys[row]}{self._of_run(run)} it is {self.predictions[run, row, column]:.6g}"
            )

    def _of_run(self, run: int) -> str:
        return f" of run {run}" if self.runs > 1 else ""

    def discriminator(self, signal: Sequence[str], background: Sequence[str]) -> Floats:
        """Return a score (R, N) that orders rows by p(signal) / (p(signal) + p(background)), 0 where both vanish.

        Rows whose ratios p(signal) / p(background) agree to 1e-12 have the same score. A single column is the score itself.
        """
        if len(self.plan.columns) == 1:
            column = self.predictions[:, :, 0]
            return column if self.single in signal else -column
        if (self.predictions < 0).any():
            run, row, column = np.argwhere(self.predictions < 0)[0]
            raise UnfitPredictions(
                f"{self.name}: {self.plan.columns[column]} must not be negative; in row {self.truth.keys[row]}{self._of_run(run)} it is "
                f"{self.predictions[run, row, column]:.6g}"
            )
        above, below = self._sums(signal, background)
        return np.stack([odds_places(*of_run) for of_run in zip(above, below, strict=True)])

    def undecided(self, signal: Sequence[str], background: Sequence[str]) -> NDArray[np.bool_]:
        """Return where (R, N) the probabilities of signal and of background are both 0, so that their score is 0."""
        if len(self.plan.columns) == 1:
            return np.full(self.predictions.shape[:2], False)
        above, below = self._sums(signal, background)
        found: NDArray[np.bool_] = (above == 0) & (below == 0)
        return found

    def _sums(self, signal: Sequence[str], background: Sequence[str]) -> tuple[Floats, Floats]:
        """Return the sums (R, N) of the probabilities of signal and of background."""
        above, below = (np.sum([self.column(name) for name in side], axis=0) for side in (signal, background))
        return above, below

    def poisson(self) -> Iterator[NDArray[np.uint8]]:
        """Poisson(1) counts (N,) of each bootstrap replicate, the same ones for all submissions."""
        return poisson_weights(len(self.truth), self.plan.replicates, self.truth.seed)
