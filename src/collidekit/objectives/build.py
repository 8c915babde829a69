"""The objective that the settings of a training ask for."""

from typing import TYPE_CHECKING

from collidekit.analysis.schema import Analysis
from collidekit.errors import CollidekitError
from collidekit.objectives import check_objective
from collidekit.objectives.base import Objective
from collidekit.objectives.classification import Classification, class_weights
from collidekit.objectives.disco import DisCo
from collidekit.objectives.relegation import Relegation

if TYPE_CHECKING:
    from collidekit.training.config import TrainingConfig


def build_objective(config: "TrainingConfig", analysis: Analysis) -> Objective:
    """By its name, with its settings."""
    check_objective(config.objective, analysis)
    _refuse_what_has_no_meaning(config, analysis)
    if config.objective == "classification":
        return Classification(class_weights(analysis), config.loss_function, config.label_smoothing, config.focal_gamma)
    if config.objective == "disco":
        return DisCo(analysis, class_weights(analysis), config.disco_weight)
    return Relegation(
        analysis, config.objective, config.significance_weight, config.significance_warmup, config.expected_yields
    )


def _refuse_what_has_no_meaning(config: "TrainingConfig", analysis: Analysis) -> None:
    """An error for settings that only other objectives listen to."""
    if config.objective == "classification":
        return
    given = {"loss_function": config.loss_function != "CrossEntropyLoss", "label_smoothing": config.label_smoothing > 0}
    if config.objective != "disco":
        given["early_stopping"] = config.early_stopping > 0  # the last epoch is kept
        given["class_weights"] = any(weight != 1 for weight in analysis.class_weights.values())
    if names := [name for name, meant in given.items() if meant]:
        raise CollidekitError(
            f"{analysis.name}: {', '.join(names)} has no meaning for the objective {config.objective}; leave it out, or take "
            "the objective classification"
        )
