"""ROC curve of a contender: one tagger with its statistical error, or several seeds with their spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from collidekit.evaluation.classification.bootstrap import GRID
from collidekit.evaluation.classification.few_rows import FEW
from collidekit.evaluation.classification.roc_result import RocResult, measure_roc, usual_efficiencies
from collidekit.evaluation.comparison.contenders import Contender
from collidekit.evaluation.rows import Floats


@dataclass(frozen=True, eq=False)
class ComparedCurve:
    """Results of one contender for one discriminator, with one result for each seed, on the same rows."""

    contender: Contender
    results: tuple[RocResult, ...]
    rows: int
    """Number of the set of rows: curves with the same number can be compared in pairs."""

    @property
    def name(self) -> str:
        return self.contender.name

    @property
    def first(self) -> RocResult:
        return self.results[0]

    @property
    def seeds(self) -> int:
        return len(self.results)

    @cached_property
    def auc(self) -> float:
        """Return the AUC, or its mean over the seeds."""
        return float(np.mean([result.auc for result in self.results]))

    @cached_property
    def auc_error(self) -> float:
        """Return the statistical error from the test rows."""
        if self.seeds == 1:
            return self.first.auc_error
        return max(float(np.nanstd(self.auc_replicates, ddof=1)), self._few_error)

    @property
    def _few_error(self) -> float:
        few = min(self.first.signal_rows, self.first.background_rows) < FEW
        return max(result.auc_error for result in self.results) if few else 0.0

    @cached_property
    def auc_spread(self) -> float | None:
        """Return the standard deviation of the AUC over the seeds; None for one seed."""
        return float(np.std([result.auc for result in self.results], ddof=1)) if self.seeds > 1 else None

    @cached_property
    def auc_replicates(self) -> Floats:
        """Return the AUC of each bootstrap replicate (R,), averaged over the seeds."""
        found: Floats = np.mean([result.replicates.auc for result in self.results], axis=0)
        return found

    @cached_property
    def background(self) -> Floats:
        """Return the background efficiency (G,) on the grid of signal efficiencies, averaged over the seeds."""
        found: Floats = self._each_background.mean(axis=0)
        return found

    @cached_property
    def _each_background(self) -> Floats:
        return np.stack([result.curve.background_efficiencies[result.curve.points(GRID)] for result in self.results])

    @cached_property
    def background_replicates(self) -> Floats:
        """Return the curve of each bootstrap replicate (R, G), averaged over the seeds."""
        found: Floats = np.mean([result.replicates.curve for result in self.results], axis=0)
        return found

    @cached_property
    def background_spread(self) -> Floats | None:
        """Return the standard deviation (G,) of the curve over the seeds; None for one seed."""
        found: Floats | None = self._each_background.std(axis=0, ddof=1) if self.seeds > 1 else None
        return found

    @property
    def band(self) -> tuple[Floats, Floats]:
        """Return lower and upper edge (G,): the central 68 % of the bootstrap, or one standard deviation over the seeds."""
        if self.background_spread is None:
            return self.first.replicates.band
        return np.maximum(self.background - self.background_spread, 0), self.background + self.background_spread


def measure_contender(
    contender: Contender, discriminator: str, rows: int, replicates: int = 200, efficiencies: Sequence[float] = ()
) -> ComparedCurve:
    """Measure a contender; each set of rows has its own bootstrap seed, so only curves on the same rows are paired.

    Rejections are given at the signal ``efficiencies``; the default is ``usual_efficiencies``.
    """
    definition = contender.first.definitions[discriminator]
    signal, background = (" + ".join(side) for side in (definition.signal, definition.background))
    targets = tuple(efficiencies) or usual_efficiencies(contender.first.classes)
    results = [
        measure_roc(
            contender.name, scores, truth, weights, targets=targets,
            replicates=replicates, seed=rows, signal=signal, background=background,
        )
        for scores, truth, weights in contender.tasks(discriminator)
    ]  # fmt: skip
    return ComparedCurve(contender, tuple(results), rows)
