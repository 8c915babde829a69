"""Objectives by name. A new objective is a file and a line here; a user's objective is found by its file or package."""

from collidekit.analysis.schema import Analysis
from collidekit.errors import CollidekitError
from collidekit.models.heads import Head, RelegationHead
from collidekit.objectives.base import Objective
from collidekit.objectives.classification import Classification
from collidekit.objectives.disco import DisCo
from collidekit.objectives.no_classes import NoClasses
from collidekit.objectives.relegation_variants import ModifiedBinary, Relegator, RelegatorDifference, RelegatorFactor
from collidekit.plugins import Kind

OBJECTIVES: dict[str, type[Objective]] = {
    "classification": Classification,
    "relegator": Relegator,
    "relegator_factor": RelegatorFactor,
    "relegator_difference": RelegatorDifference,
    "modified_binary": ModifiedBinary,
    "disco": DisCo,
}
RELEGATING = tuple(name for name, objective in OBJECTIVES.items() if issubclass(objective.head, RelegationHead))
KIND = Kind("objective", Objective, "collidekit.objectives.Objective", OBJECTIVES)


def find_objective(name: str) -> type[Objective]:
    """Return the class of an objective: by name, from a file (``mine.py`` or ``mine.py:MyObjective``), or from a package."""
    found: type[Objective] = KIND.find(name)
    return found


def objective_of(name: str, analysis: Analysis) -> type[Objective]:
    """Return the objective of a training; an analysis without classes has only the losses of its targets."""
    if analysis.classes:
        return find_objective(name)
    if name != "classification":
        raise CollidekitError(
            f"{analysis.name}: the objective {name} needs classes, and the analysis has none; leave it out"
        )
    return NoClasses


def head_of(name: str, analysis: Analysis) -> Head:
    """Return the head of an objective."""
    return objective_of(name, analysis).head.of(analysis)


def may_relegate(name: str) -> bool:
    """Return whether an objective can relegate rows."""
    return issubclass(find_objective(name).head, RelegationHead)


def check_objective(name: str, analysis: Analysis) -> None:
    """Raise an error if the analysis does not have what the objective needs."""
    if objective_of(name, analysis).needs_merit and analysis.figure_of_merit is None:
        raise CollidekitError(
            f"{analysis.name}: the objective {name} needs a figure of merit; add 'figure_of_merit:' to the analysis "
            "file, with the variable, the window of its peak, the signal and the expected yields"
        )
