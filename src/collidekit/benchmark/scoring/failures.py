"""Reasons for missing scores, and the person who has to act."""

from collidekit.benchmark.states import Fault
from collidekit.errors import CollidekitError


class ScoringError(CollidekitError):
    """The scorer failed: the benchmark or the machine is at fault, and the submission counts as not judged."""

    fault = Fault.ORGANISER


class ScoringCanceled(CollidekitError):
    """The run was canceled, its worker was stopped, or its lease was lost while it was scored; nobody is at fault."""


class UnfitPredictions(ScoringError):
    """Predictions that the metrics of this benchmark cannot judge, such as probabilities that do not add up to 1."""

    fault = Fault.PARTICIPANT
