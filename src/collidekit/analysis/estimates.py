"""The estimates of a regression: one number for each value, or a distribution in one of four forms."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FiniteFloat

from collidekit.errors import CollidekitError
from collidekit.extras import need

Estimate = Literal["value", "gaussian", "quantiles", "binned", "flow"]
MEDIAN = 0.5
LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)
"""The default quantiles."""
CONTEXT = 64
"""Outputs of the network that condition a flow."""
FEWEST_DRAWS = 40
"""With fewer draws, the quantiles 0.025 and 0.975 lie beyond the outermost draws."""
KEYS: dict[str, tuple[Estimate, ...]] = {
    "loss": ("value",),
    "w_mass": ("value",),
    "scale": ("value", "gaussian", "quantiles", "flow"),
    "quantiles": ("quantiles",),
    "median_loss": ("quantiles",),
    "bins": ("binned",),
    "draws": ("flow",),
    "on_shell": ("flow",),
}
"""Keys of a regression that apply only to some estimates."""


def suffix_of(level: float) -> str:
    """Return the suffix of the column of a quantile: ``q025`` for 0.025, ``q16`` for 0.16."""
    return "q" + format(Decimal(repr(level)), "f").removeprefix("0.")


def level_of(suffix: str) -> float | None:
    """Return the level of a quantile column from its suffix; None if it is not a quantile."""
    digits = suffix.removeprefix("q")
    return float(f"0.{digits}") if suffix.startswith("q") and digits.isdigit() else None


def suffixes_of(estimate: Estimate, levels: Sequence[float]) -> list[str]:
    """Return the suffixes of the columns of a value beside ``pred_<value>``."""
    quantiles = [suffix_of(level) for level in levels if level != MEDIAN]
    more: dict[Estimate, list[str]] = {
        "value": [], "gaussian": ["sigma"], "quantiles": quantiles, "binned": ["median", *quantiles],
        "flow": ["mean", "mode", *quantiles],
    }  # fmt: skip
    return more[estimate]


def refused_key(estimate: Estimate, given: Collection[str]) -> tuple[str, str] | None:
    """Return the first given key that does not apply to an estimate, and the error message."""
    for key, kinds in KEYS.items():
        if key in given and estimate not in kinds:
            known = " or ".join(f"'estimate: {kind}'" for kind in kinds)
            return key, f"has no meaning with 'estimate: {estimate}'; it is for {known}"
    return None


def require_packages(estimates: Mapping[str, Estimate]) -> None:
    """Raise CollidekitError if the package for the estimate of a target (name -> estimate) is not installed."""
    for name, estimate in estimates.items():
        if estimate == "flow":
            try:
                need("zuko", "flow")
            except CollidekitError as error:
                raise CollidekitError(f"target {name!r}: 'estimate: flow': {error}") from None


def _sorted_with_median(levels: tuple[float, ...]) -> tuple[float, ...]:
    """Return the levels if they are between 0 and 1, ascending, and hold 0.5 with at least one level on each side."""
    if any(not 0 < level < 1 for level in levels):
        raise ValueError("quantiles must be between 0 and 1, both excluded")
    if any(later <= earlier for earlier, later in pairwise(levels)):
        raise ValueError("quantiles must be in ascending order without repetition")
    if MEDIAN not in levels or levels[0] == MEDIAN or levels[-1] == MEDIAN:
        raise ValueError("quantiles must contain 0.5, the estimate itself, and at least one level on each side")
    return levels


Levels = Annotated[tuple[FiniteFloat, ...], Field(min_length=3, max_length=101), AfterValidator(_sorted_with_median)]
