"""Objectives: each computes a loss from the outputs of a network."""

from collidekit.objectives.base import Objective, Validation
from collidekit.objectives.registry import (
    OBJECTIVES,
    RELEGATING,
    check_objective,
    find_objective,
    head_of,
    may_relegate,
)

__all__ = [
    "OBJECTIVES",
    "RELEGATING",
    "Objective",
    "Validation",
    "check_objective",
    "find_objective",
    "head_of",
    "may_relegate",
]
