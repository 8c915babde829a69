"""Results of the members of an ensemble: the numbers of each, their spread, and the gain of the ensemble."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from collidekit.evaluation.classification.rejection import Rejection
from collidekit.evaluation.classification.roc_result import RocResult, measure_discriminator
from collidekit.evaluation.numbers import with_error
from collidekit.inference.predictions import Predictions
from collidekit.sealed import read_as


@dataclass(frozen=True)
class RocLine:
    """AUC and rejections of one discriminator or tagger."""

    name: str
    auc: float
    auc_error: float
    rejections: tuple[Rejection, ...]

    @classmethod
    def of(cls, result: RocResult, name: str = "") -> "RocLine":
        return cls(name or result.name, result.auc, result.auc_error, result.rejections)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "RocLine":
        """Return the object that is stored in JSON."""
        return read_as(cls, content)


@dataclass(frozen=True)
class Gain:
    """AUC of the ensemble minus the mean AUC of its members, with the error of the paired bootstrap."""

    value: float
    error: float


@dataclass(frozen=True)
class EnsembleResult:
    """Results of one discriminator: each member alone, and the ensemble."""

    discriminator: str
    combination: str
    members: tuple[RocLine, ...]
    ensemble: RocLine
    gain: Gain

    def as_dict(self) -> dict[str, Any]:
        """Return the content for JSON, with the mean and the spread of the members' AUC."""
        mean, spread = self.spread()
        return {**asdict(self), "mean_auc": mean, "spread_auc": spread}

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "EnsembleResult":
        """Return the object that is stored in JSON."""
        return read_as(cls, content)

    def spread(self) -> tuple[float, float]:
        """Return mean and standard deviation (n - 1) of the members' AUC."""
        return _mean_and_spread([member.auc for member in self.members])

    def rows(self) -> list[tuple[str, ...]]:
        """Return rows of text with name, AUC and rejections: each member with its statistical error, mean with spread, ensemble, gain."""
        targets = range(len(self.ensemble.rejections))
        rows = [_row(member) for member in self.members]
        rejections = [self._rejection_spread(i) for i in targets]
        rows.append(("mean ± spread", with_error(*self.spread()), *rejections))
        rows.append(_row(self.ensemble))
        rows.append(("ensemble − mean", with_error(self.gain.value, self.gain.error), *[""] * len(targets)))
        return rows

    def header(self) -> tuple[str, ...]:
        """Return the names of the columns of ``rows``."""
        targets = [f"1/εB (εS = {r.signal_efficiency:g})" for r in self.ensemble.rejections]
        return (f"{self.discriminator} ({self.combination})", "AUC", *targets)

    def _rejection_spread(self, index: int) -> str:
        found = [member.rejections[index] for member in self.members]
        if any(rejection.limit for rejection in found):
            return "—"
        return with_error(*_mean_and_spread([rejection.value for rejection in found]))


def measure_members(
    members: Mapping[str, Predictions],
    ensemble: RocResult,
    combination: str,
    done: Callable[[int], None] = lambda count: None,
) -> EnsembleResult:
    """Measure the members of an ensemble on the same rows, with the same replicates and random seed, as the ensemble.

    ``done`` is called after each member.
    """
    replicates, seed, targets = len(ensemble.replicates.auc), ensemble.replicates.seed, ensemble.replicates.targets
    results = {}
    for name, predictions in zip(short_names(list(members)), members.values(), strict=True):
        results[name] = measure_discriminator(
            predictions, ensemble.name, targets=targets, replicates=replicates, seed=seed
        )
        done(1)
    lines = tuple(RocLine.of(result, name) for name, result in results.items())
    gain = _gain(list(results.values()), ensemble)
    return EnsembleResult(ensemble.name, combination, lines, RocLine.of(ensemble, "ensemble"), gain)


def short_names(names: Sequence[str]) -> list[str]:
    """Return the ends of paths, long enough to distinguish them: ``04b9fbbb7c`` for ``results/.../04b9fbbb7c``."""
    parts = [name.split("/") for name in names]
    for length in range(1, max(map(len, parts)) + 1):
        short = ["/".join(part[-length:]) for part in parts]
        if len(set(short)) == len(names):
            return short
    return list(names)


def _gain(members: Sequence[RocResult], ensemble: RocResult) -> Gain:
    value = ensemble.auc - float(np.mean([member.auc for member in members]))
    replicates = ensemble.replicates.auc - np.mean([member.replicates.auc for member in members], axis=0)
    return Gain(value, float(np.nanstd(replicates, ddof=1)))


def _mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _row(line: RocLine) -> tuple[str, ...]:
    return (line.name, with_error(line.auc, line.auc_error), *(str(rejection) for rejection in line.rejections))
