"""Variants of relegation; ``Relegation`` has the formulas."""

from collidekit.models.heads import ClassesHead
from collidekit.objectives.relegation import Relegation


class Relegator(Relegation):
    """Relegation with L = CE + relCCE + w (Z0/Z - 1)."""


class RelegatorFactor(Relegation):
    """Relegation with L = CE + relCCE Z0/Z."""

    variant = "relegator_factor"
    settings = ("significance_warmup", "expected_yields")


class RelegatorDifference(Relegation):
    """Relegation with L = CE + relCCE - w Z/Z0."""

    variant = "relegator_difference"


class ModifiedBinary(Relegation):
    """Significance without relegation: L = CE + w (Z0/Z - 1)."""

    variant = "modified_binary"
    head = ClassesHead
