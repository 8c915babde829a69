"""Scores of a run."""

from typing import Any

from attrs import asdict, field, frozen


@frozen
class Score:
    """A metric with its statistical error; for an ensemble ``spread`` is the standard deviation over its runs."""

    value: float
    error: float | None = None
    spread: float | None = None
    limit: bool = False
    """True where the value is a lower limit: no background row survives."""


@frozen
class Scores:
    """Scores of a submission in one phase, as ``scores.json`` holds them."""

    metrics: dict[str, Score]
    """By name of the metric."""
    samples: dict[str, dict[str, Score]] = field(factory=dict)
    """By sample and metric, where a phase has several samples."""
    rows: int = 0
    runs: int = 1
    runs_left_out: tuple[int, ...] = ()
    replicates: dict[str, list[float]] = field(factory=dict)
    """Bootstrap replicates of each metric, made with the same Poisson weights for all submissions: differences are paired."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
