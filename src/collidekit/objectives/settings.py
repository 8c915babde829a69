"""Settings of the objective, and of each objective; settings that the chosen objective does not use are an error."""

from typing import Annotated

from pydantic import AfterValidator

from collidekit.analysis.features import wrong
from collidekit.objectives.classification import ClassificationSettings
from collidekit.objectives.disco import DisCoSettings
from collidekit.objectives.registry import OBJECTIVES
from collidekit.objectives.relegation import RelegationSettings
from collidekit.plugins import is_known, unknown
from collidekit.settings import setting


def _objective(name: str) -> str:
    if not is_known("objective", name, OBJECTIVES):
        raise wrong(unknown("objective", name, OBJECTIVES))
    return name


class ObjectiveSettings(ClassificationSettings, RelegationSettings, DisCoSettings):
    """Name of the objective, and the settings of all objectives."""

    objective: Annotated[str, AfterValidator(_objective)] = setting(
        "classification", f"objective: {', '.join(OBJECTIVES)}, or a file my_objective.py"
    )
