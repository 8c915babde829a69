"""Scores of a run."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from collidekit.errors import CollidekitError


@dataclass(frozen=True)
class Score:
    """A metric with its statistical error; for an ensemble ``spread`` is the standard deviation over its runs."""

    value: float
    error: float | None = None
    spread: float | None = None
    limit: bool = False
    """True where the value is a lower limit: no background row survives."""

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Score":
        """Return the score that ``as_dict`` of ``Scores`` holds; raises CollidekitError where it is none."""
        value, error, spread = content.get("value"), content.get("error"), content.get("spread")
        if not _is_finite(value) or not all(number is None or _is_finite(number) for number in (error, spread)):
            raise CollidekitError(f"a score has the value {value}, error {error} and spread {spread}: not all are finite")
        return cls(float(value), *(None if n is None else float(n) for n in (error, spread)), bool(content.get("limit")))


@dataclass(frozen=True)
class Curve:
    """A ROC curve at some signal efficiencies (G,), with its 68 % band; for an ensemble, the median or mean of its runs."""

    signal: str
    background: str
    signal_efficiency: list[float]
    background_efficiency: list[float]
    """0 where no background row survives."""
    low: list[float]
    high: list[float]
    signal_rows: int
    background_rows: int


@dataclass(frozen=True)
class Scores:
    """Scores of a submission in one phase, as ``scores.json`` holds them."""

    metrics: dict[str, Score]
    """By name of the metric."""
    samples: dict[str, dict[str, Score]] = field(default_factory=dict)
    """By sample and metric, where a phase has several samples."""
    rows: int = 0
    """Rows of all samples."""
    runs: int = 1
    runs_left_out: tuple[int, ...] = ()
    """Indices of the runs that the outlier rule leaves out."""
    replicates: dict[str, list[float]] = field(default_factory=dict)
    """Bootstrap replicates of each metric, made with the same Poisson weights for all submissions: differences are paired."""
    per_run: dict[str, list[float]] = field(default_factory=dict)
    """The value of each metric for each run, also for those left out."""
    curve: Curve | None = None
    """The ROC curve for the plot of the leaderboard."""
    truth: str = ""
    """Fingerprint of the rows, truth and weights; only scores with the same one can be compared."""
    notes: tuple[str, ...] = ()
    """What a reader of the scores must know, such as too few rows."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain Python for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Scores":
        """Return the scores that ``as_dict`` gave; raises CollidekitError where one is missing or not finite."""
        try:
            curve = content.get("curve")
            return cls(
                metrics={name: Score.from_dict(entry) for name, entry in content["metrics"].items()},
                samples={
                    sample: {name: Score.from_dict(entry) for name, entry in entries.items()}
                    for sample, entries in content.get("samples", {}).items()
                },
                rows=int(content.get("rows", 0)),
                runs=int(content.get("runs", 1)),
                runs_left_out=tuple(int(index) for index in content.get("runs_left_out", ())),
                replicates=_lists(content.get("replicates", {})),
                per_run=_lists(content.get("per_run", {})),
                curve=Curve(**curve) if curve else None,
                truth=str(content.get("truth", "")),
                notes=tuple(str(note) for note in content.get("notes", ())),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CollidekitError(f"these are no scores of a benchmark ({type(error).__name__}: {error})") from None


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _lists(content: Mapping[str, Any]) -> dict[str, list[float]]:
    return {str(name): [float(value) for value in values] for name, values in content.items()}
