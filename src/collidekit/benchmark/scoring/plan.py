"""All that the scorer must know of a benchmark, as plain values that fit into JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

REPLICATES = 200
"""Bootstrap replicates of each metric."""


@dataclass(frozen=True)
class MetricPlan:
    """A metric of the benchmark: its name, the scoring function and its settings, and which direction is better."""

    name: str
    metric: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    direction: str = "higher"


@dataclass(frozen=True)
class ScoringPlan:
    """The part of a benchmark's definition that decides its scores."""

    task: str
    columns: tuple[str, ...]
    """Columns of the predictions, in the order of their last axis."""
    metrics: tuple[MetricPlan, ...]
    samples: tuple[str, ...] = ("nominal",)
    classes: tuple[str, ...] = ()
    signal: str = ""
    background: str = ""
    key: str = "row"
    truth_column: str = "label"
    order: tuple[str, ...] = ()
    rule: str = "median"
    outliers: str = "none"
    runs: int = 1
    minimum: float | None = None
    maximum: float | None = None
    replicates: int = REPLICATES

    @property
    def nominal(self) -> str:
        """The sample that the others are compared with: ``nominal``, else the first one."""
        return "nominal" if "nominal" in self.samples else self.samples[0]

    @property
    def leading(self) -> str:
        """The metric that ranks first."""
        return self.order[0] if self.order else self.metrics[0].name

    def as_dict(self) -> dict[str, Any]:
        """Return plain Python for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "ScoringPlan":
        """Return the plan that ``as_dict`` gave."""
        given = dict(content)
        for name in ("columns", "samples", "classes", "order"):
            given[name] = tuple(given.get(name, ()))
        given["metrics"] = tuple(MetricPlan(**metric) for metric in given["metrics"])
        return cls(**given)
