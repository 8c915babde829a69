"""What a prediction that was written to a file has to say of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from collidekit.analysis.targets import Assignment
from collidekit.inference.predictions import Predictions


@dataclass(frozen=True)
class Predicted:
    """What was written, how long it took and what was left out; of an ensemble, also what each member says."""

    path: Path
    predictions: Predictions
    seconds: float
    skipped: list[str]
    members: dict[str, Predictions] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What NaN and infinity in the files cost, and which rows a model knows from its training."""
    warning: str = ""
    """Rows that were learned from; empty where there are none."""
    assignments: Mapping[str, Assignment] = field(default_factory=dict)
    """The targets of the model that are assignments."""

    @property
    def rate(self) -> float:
        return len(self.predictions) / max(self.seconds, 1e-9)
