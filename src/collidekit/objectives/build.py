"""The objective of the settings of a training."""

from typing import TYPE_CHECKING

from collidekit.analysis.schema import Analysis
from collidekit.errors import CollidekitError
from collidekit.objectives.base import Objective
from collidekit.objectives.no_classes import NoClasses
from collidekit.objectives.registry import OBJECTIVES, check_objective, objective_of

if TYPE_CHECKING:
    from collidekit.training.config import TrainingConfig


def build_objective(config: "TrainingConfig", analysis: Analysis) -> Objective:
    """Return the objective of the settings."""
    name = config.objective
    check_objective(name, analysis)
    kind = objective_of(name, analysis)
    _refuse_what_has_no_meaning(config, analysis, kind)
    try:
        objective = kind.build(config, analysis)
    except CollidekitError:
        raise
    except Exception as error:
        raise CollidekitError(f"objective {name}: cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(objective, Objective):
        raise CollidekitError(f"objective {name}: {kind.__name__}.build must return an Objective")
    return objective


def _refuse_what_has_no_meaning(config: "TrainingConfig", analysis: Analysis, kind: type[Objective]) -> None:
    """Raise an error for settings that only other objectives use."""
    given = {
        "loss_function": config.loss_function != "CrossEntropyLoss",
        "label_smoothing": config.label_smoothing > 0,
        "early_stopping": config.early_stopping > 0 and kind.keeps_last,  # there is no best epoch
        "class_weights": any(weight != 1 for weight in analysis.class_weights.values()),
    }
    names = [name for name, meant in given.items() if meant and name not in kind.settings]
    if names and kind is NoClasses:
        raise CollidekitError(
            f"{analysis.name}: {', '.join(names)} has no meaning without classes of rows; leave it out"
        )
    if names:
        name_them = (
            ""
            if kind in OBJECTIVES.values()
            else f", or name it in 'settings' of the class {kind.__name__} if the class uses it"
        )
        raise CollidekitError(
            f"{analysis.name}: {', '.join(names)} has no meaning for the objective {config.objective}; leave it out, or take "
            f"the objective classification{name_them}"
        )
