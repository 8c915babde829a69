"""The objectives by name; a new one is a file and a line here. A user's own is found by its file or its package."""

from collidekit.analysis.schema import Analysis
from collidekit.errors import CollidekitError
from collidekit.objectives.base import Objective
from collidekit.objectives.classification import Classification
from collidekit.objectives.disco import DisCo
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
RELEGATING = tuple(name for name, objective in OBJECTIVES.items() if objective.relegates)
KIND = Kind("objective", Objective, "collidekit.objectives.Objective", OBJECTIVES)


def find_objective(name: str) -> type[Objective]:
    """An objective by its name, of a user's file (``mine.py`` or ``mine.py:MyObjective``), or of a package."""
    found: type[Objective] = KIND.find(name)
    return found


def outputs_of(name: str, analysis: Analysis) -> int:
    """How many outputs a network must have: one for each class, and one for relegation where rows may be relegated."""
    return find_objective(name).count_outputs(analysis)


def check_objective(name: str, analysis: Analysis) -> None:
    """An error where the analysis lacks what the objective needs."""
    if find_objective(name).needs_merit and analysis.figure_of_merit is None:
        raise CollidekitError(
            f"{analysis.name}: the objective {name} needs a figure of merit; add 'figure_of_merit:' to the analysis "
            "file, with the variable, the window of its peak, the signal and what is expected"
        )
