"""AUC and background rejection of signal against background, and the ROC curve for the plot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from collidekit.benchmark.scoring.failures import ScoringError
from collidekit.benchmark.scoring.metrics.measured import Measured, few_rows
from collidekit.benchmark.scoring.sample import Sample
from collidekit.evaluation.classification.bootstrap import GRID, RocBootstrap, bootstrap
from collidekit.evaluation.classification.few_rows import auc_error, rejection_with_errors
from collidekit.evaluation.classification.rejection import Rejection
from collidekit.evaluation.classification.roc import curve_of
from collidekit.evaluation.rows import BinaryRows, Floats, binary_rows

TARGETS = (0.3, 0.5, 0.7)
"""Signal efficiencies that every bootstrap evaluates, beside those of the benchmark."""


@dataclass(frozen=True, eq=False)
class RunRoc:
    """ROC curve of one run, as metrics and plots need it."""

    auc: float
    auc_error: float
    rejections: Mapping[float, Rejection]
    """By signal efficiency."""
    interpolated: Mapping[float, float]
    """eB by signal efficiency, on the straight line between the points of the curve, as ``numpy.interp`` of the ROB demo."""
    on_grid: Floats
    """eB (G,) on ``GRID``."""
    drawn: RocBootstrap
    signal_rows: int
    background_rows: int

    @classmethod
    def measure(cls, rows: BinaryRows, targets: tuple[float, ...], replicates: int, seed: int) -> "RunRoc":
        """Compute the curve and its bootstrap."""
        curve, drawn = curve_of(rows), bootstrap(rows, targets, replicates, seed)
        signal = int(rows.is_signal.sum())
        background = len(rows.scores) - signal
        efficiencies, eb = curve.signal_efficiencies, curve.background_efficiencies
        return cls(
            auc=curve.auc,
            auc_error=auc_error(drawn.auc_error, curve.auc, signal, background),
            rejections={
                target: rejection_with_errors(curve, curve.rejection(target), drawn.background_efficiency[:, i], signal)
                for i, target in enumerate(targets)
            },
            interpolated={target: float(np.interp(target, efficiencies, eb)) for target in targets},
            on_grid=eb[curve.points(GRID)],
            drawn=drawn,
            signal_rows=signal,
            background_rows=background,
        )


class Rocs:
    """The ROC curves of a sample; each one is computed once for all metrics that need it."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        wanted = (
            float(m.settings["signal_efficiency"]) for m in sample.plan.metrics if "signal_efficiency" in m.settings
        )
        self.targets = tuple(sorted({*TARGETS, *wanted}))
        self._undecided: dict[tuple[str, str], tuple[int, int]] = {}
        self._found: dict[tuple[tuple[str, ...], tuple[str, ...], bool], list[RunRoc]] = {}

    def of(self, signal: Sequence[str], background: Sequence[str], alone: bool = False) -> list[RunRoc]:
        """Return the curve of each run, on the rows of these classes only.

        ``alone``: the score is the column of the one signal class, whatever those of others are.
        """
        key = (tuple(signal), tuple(background), alone and len(self.sample.plan.columns) > 1)
        if key not in self._found:
            self._found[key] = self._measure(*key)
        return self._found[key]

    @property
    def note(self) -> str:
        """A note with the number of rows that have probability 0 for both sides of a curve; empty without such rows."""
        if not self._undecided:
            return ""
        (first, second), (undecided, rows) = max(self._undecided.items(), key=lambda item: item[1])
        more = f"; so do rows of {len(self._undecided) - 1} more pairs of classes" if len(self._undecided) > 1 else ""
        return (
            f"{self.sample.name}: {undecided:,} of {rows:,} rows of {first} and {second} have probability 0 for both, "
            f"and count as the least signal-like{more}"
        )

    def _measure(self, signal: tuple[str, ...], background: tuple[str, ...], alone: bool) -> list[RunRoc]:
        sample, index = self.sample, self.sample.classes.index
        is_signal = np.isin(sample.labels, [index(name) for name in signal])
        rows = is_signal | np.isin(sample.labels, [index(name) for name in background])
        if not alone and (undecided := int(sample.undecided(signal, background)[:, rows].sum(axis=1).max())):
            first, second = sorted((" + ".join(signal), " + ".join(background)))
            self._undecided[first, second] = (undecided, int(rows.sum()))
        found = []
        for scores in sample.column(signal[0]) if alone else sample.discriminator(signal, background):
            chosen = binary_rows(scores[rows], is_signal[rows], sample.truth.weights[rows])
            found.append(RunRoc.measure(chosen, self.targets, sample.plan.replicates, sample.truth.seed))
        return found


def sides(sample: Sample, settings: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the signal and background classes: those of the metric, else of the benchmark, else the last against the others."""
    signal = _names(settings.get("signal") or sample.plan.signal or sample.classes[-1])
    others = [name for name in sample.classes if name not in signal]
    background = _names(settings.get("background") or sample.plan.background or others)
    for name in (*signal, *background):
        if name not in sample.classes:
            raise ScoringError(f"{name!r} is not a class of the benchmark; classes are {', '.join(sample.classes)}")
    if set(signal) & set(background):
        raise ScoringError(f"{', '.join(sorted(set(signal) & set(background)))} is both signal and background")
    return signal, background


def _names(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def auc(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Probability that a signal row scores above a background row, ties counted half."""
    return _auc_of(rocs.of(*sides(rocs.sample, settings)))


def _auc_of(found: list[RunRoc]) -> Measured:
    note = _few(found[0])
    return Measured(
        value=np.array([run.auc for run in found]),
        error=np.array([run.auc_error for run in found]),
        replicates=None if note else np.array([run.drawn.auc for run in found]),
        limit=np.full(len(found), False),
        note=note,
    )


def mean_auc(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """Mean AUC over all ordered pairs of classes, the score being the probability of the first one (Hand and Till, Machine
    Learning 45 (2001) 171, eq. 7), or over each class against the rest; with ``score: ratio``, that of `auc`.
    """
    classes = rocs.sample.classes
    if settings["against"] == "rest":
        pairs = [([name], [other for other in classes if other != name]) for name in classes]
    else:
        pairs = [([a], [b]) for a, b in permutations(classes, 2)]
    alone = settings["score"] == "probability"
    parts = [_auc_of(rocs.of(signal, background, alone)) for signal, background in pairs]
    note = next((part.note for part in parts if part.note), "")
    drawn = [part.replicates for part in parts if part.replicates is not None]
    replicates = np.mean(drawn, axis=0) if len(drawn) == len(parts) else None
    spread = np.max([part.error for part in parts], axis=0) if replicates is None else _spread(replicates)
    return Measured(np.mean([part.value for part in parts], axis=0), spread, replicates, parts[0].limit, note)


def _spread(replicates: Floats) -> Floats:
    spread: Floats = np.nanstd(replicates, axis=1, ddof=1)
    return spread


def background_rejection(rocs: Rocs, settings: Mapping[str, Any]) -> Measured:
    """1/eB at a signal efficiency: at the tightest threshold that reaches it, or interpolated as in the ROB demo."""
    target = float(settings["signal_efficiency"])
    found = rocs.of(*sides(rocs.sample, settings))
    note = _few(found[0])
    values, errors, limits, replicates = [], [], [], []
    for run in found:
        rejection = run.rejections[target]
        value = rejection.value
        if settings["interpolation"] == "linear" and not rejection.limit:
            value = 1 / run.interpolated[target]
        spread = rejection.background_efficiency_error if rejection.error is not None else None
        values.append(value)
        limits.append(rejection.limit)
        errors.append(np.nan if spread is None else spread * value**2)
        # d(1/e) = -de / e^2: stays finite where a replicate has no background left
        drawn = run.drawn.background_efficiency[:, run.drawn.targets.index(target)]
        change = np.zeros(len(drawn)) if rejection.limit else value**2 * (rejection.background_efficiency - drawn)
        replicates.append(value + change)
    return Measured(
        np.array(values), np.array(errors), None if note else np.array(replicates), np.array(limits, dtype=bool), note
    )


def _few(run: RunRoc) -> str:
    return few_rows("signal rows", run.signal_rows) or few_rows("background rows", run.background_rows)
