"""The objective that the settings of a training ask for."""

from typing import TYPE_CHECKING

from collidekit.analysis.schema import Analysis
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
    if config.objective == "classification":
        return Classification(class_weights(analysis), config.loss_function, config.label_smoothing, config.focal_gamma)
    if config.objective == "disco":
        return DisCo(analysis, class_weights(analysis), config.disco_weight)
    return Relegation(
        analysis, config.objective, config.significance_weight, config.significance_warmup, config.expected_yields
    )
