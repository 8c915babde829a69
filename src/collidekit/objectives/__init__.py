"""Ways of learning: each turns the outputs of any network into a loss."""

from collidekit.objectives.base import Objective, Validation
from collidekit.objectives.registry import OBJECTIVES, RELEGATING, check_objective, find_objective, outputs_of

__all__ = ["OBJECTIVES", "RELEGATING", "Objective", "Validation", "check_objective", "find_objective", "outputs_of"]
