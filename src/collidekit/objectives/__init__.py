"""Ways of learning: each turns the outputs of any network into a loss."""

from collidekit.analysis.schema import Analysis
from collidekit.errors import CollidekitError

RELEGATING = ("relegator", "relegator_factor", "relegator_difference")
OBJECTIVES = ("classification", *RELEGATING, "modified_binary", "disco")


def outputs_of(objective: str, analysis: Analysis) -> int:
    """How many outputs a network must have: one for each class, and one for relegation where rows may be relegated."""
    return len(analysis.classes) + (objective in RELEGATING)


def check_objective(objective: str, analysis: Analysis) -> None:
    """An error where the analysis lacks what the objective needs."""
    if objective != "classification" and analysis.figure_of_merit is None:
        raise CollidekitError(
            f"{analysis.name}: the objective {objective} needs a figure of merit; add 'figure_of_merit:' to the analysis "
            "file, with the variable, the window of its peak, the signal and what is expected"
        )
