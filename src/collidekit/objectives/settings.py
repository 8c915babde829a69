"""What is learned, and the settings of every objective; each refuses those that it does not read."""

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
    """The objective by its name, and the settings of all."""

    objective: Annotated[str, AfterValidator(_objective)] = setting(
        "classification", f"{', '.join(OBJECTIVES)}, or a file my_objective.py"
    )
