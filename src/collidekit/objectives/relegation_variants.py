"""Relegation as it is named in settings; ``Relegation`` has the formulas."""

from collidekit.models.heads import ClassesHead
from collidekit.objectives.relegation import Relegation


class Relegator(Relegation):
    """L = CE + relCCE + w (Z0/Z - 1)."""


class RelegatorFactor(Relegation):
    """L = CE + relCCE Z0/Z."""

    variant = "relegator_factor"
    settings = ("significance_warmup", "expected_yields")


class RelegatorDifference(Relegation):
    """L = CE + relCCE - w Z/Z0."""

    variant = "relegator_difference"


class ModifiedBinary(Relegation):
    """L = CE + w (Z0/Z - 1), with no relegation."""

    variant = "modified_binary"
    head = ClassesHead
