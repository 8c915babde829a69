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
        found = {name: _finite(name, content.get(name)) for name in ("value", "error", "spread")}
        if found["value"] is None:
            raise CollidekitError("a score has no value")
        return cls(found["value"], found["error"], found["spread"], bool(content.get("limit")))


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
    """Notes for readers of the scores, such as too few rows."""

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


def _finite(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CollidekitError(f"the {name} of a score is {value!r}, which is not a finite number")
    return float(value)


def _lists(content: Mapping[str, Any]) -> dict[str, list[float]]:
    return {str(name): [float(value) for value in values] for name, values in content.items()}
