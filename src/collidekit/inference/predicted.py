"""Summary of predictions that were written to a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from collidekit.analysis.targets import Assignment
from collidekit.inference.predictions import Predictions


@dataclass(frozen=True)
class Predicted:
    """Predictions in a file, with the time, the skipped files, and for an ensemble the predictions of each member."""

    path: Path
    predictions: Predictions
    seconds: float
    skipped: list[str]
    members: dict[str, Predictions] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Messages about NaN and infinity in the files, and about rows that a model knows from its training."""
    warning: str = ""
    """Warning about rows of the training set; empty if there are none."""
    assignments: Mapping[str, Assignment] = field(default_factory=dict)
    """Assignment targets of the model."""

    @property
    def rate(self) -> float:
        """Return the number of rows per second."""
        return len(self.predictions) / max(self.seconds, 1e-9)
