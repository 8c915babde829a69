"""Rule for transforms, bounds and defaults of features, based only on quantiles of the values.

``reach`` is the distance of the 0.5 % or 99.5 % quantile from the median in robust widths. A robust width is half the distance of
the 16 % and 84 % quantiles. The reach is 2.6 for a normal distribution, 1.5 for a uniform one, and 5.6 for an exponential one.

1. A frequent value that is far from all others, such as -999, means "missing" (``far_values.find_sentinel``).
2. If more than half of the values are equal, such as 0, the quantiles are computed without them.
3. If the reach is above HEAVY, standard scaling would compress the bulk. A positive feature is replaced by its logarithm if this
   brings the reach below HEAVY. Any other feature is replaced by arcsinh(x / width), linear near 0 and logarithmic in the tails.
4. Bounds lie beyond the 0.5 % and 99.5 % quantiles by half the distance of these quantiles, so that they clip only outliers.
5. If values are missing, or if a logarithm may be undefined, the default is next to the bulk (``far_values.suggested_default``).
"""

import ast
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.names import hide_quotes
from collidekit.dataset.far_values import Sentinel, find_sentinel, suggested_default

Floats = NDArray[np.float64]

HEAVY = 5.0
"""Reach, in robust widths, above which a feature is transformed."""
FEWEST = 50
"""Minimum number of values for a choice."""
_ALIKE = 1e-5
"""Values that differ by less than this fraction of the range of 99 % of the values count as equal."""
_CODES = 30
"""Integers with at most this many distinct values are not transformed."""


@dataclass(frozen=True)
class Choice:
    """Expression, kind, bounds and default of a feature, with notes that explain them."""

    expression: str
    kind: str = "continuous"
    bounds: tuple[float, float] | None = None
    default: float | None = None
    how: str = ""
    """``log`` or ``arcsinh``; empty without a transform."""
    notes: tuple[str, ...] = ()


def choose(expression: str, values: Floats) -> Choice:
    """Apply the rule to the values (T,) of an expression; NaN and infinity count as missing."""
    finite = values[np.isfinite(values)]
    lost = 1 - len(finite) / max(len(values), 1)
    sentinel = find_sentinel(finite)
    bulk = finite if sentinel is None else finite[finite != sentinel.value]
    choice = Choice(expression, kind_of(bulk))
    if len(bulk) < FEWEST:
        return choice
    choice, bulk = _transformed(choice, bulk)
    low, high = np.percentile(bulk, [0.5, 99.5])
    default = None
    if lost or sentinel or "log(" in choice.expression:
        default = _default(bulk, float(low), float(high), whole=choice.kind != "continuous")
    if choice.kind == "continuous":
        choice = replace(choice, bounds=_bounds(bulk, default))
    if sentinel:
        choice = _with_sentinel(choice, expression, sentinel, default or 0.0)
    notes = (*choice.notes, *([f"{lost:.2%} of the values are NaN or infinite"] if lost else []))
    return replace(choice, default=default, notes=notes)


def _default(bulk: Floats, low: float, high: float, whole: bool) -> float:
    """Return the default for missing values; a whole number is none of the values."""
    default = suggested_default(low, high, whole)
    while whole and (bulk == default).any():
        default -= 1
    return default


def reach(values: Floats) -> float:
    """Return the distance, in robust widths, from the median to the farther of the 0.5 % and 99.5 % quantiles."""
    low, left, middle, right, high = np.percentile(values, [0.5, 16, 50, 84, 99.5])
    far = max(high - middle, middle - low)
    return float(2 * far / (right - left)) if right > left else (np.inf if far else 0.0)


def without_commonest(values: Floats) -> Floats:
    """Drop a value that more than half of the values equal, up to rounding, if enough others remain."""
    low, high = np.percentile(values, [0.5, 99.5])
    step = float(high - low) * _ALIKE or 1.0
    rounded = np.round(values / step)
    unique, counts = np.unique(rounded, return_counts=True)
    if 2 * counts.max(initial=0) <= len(values) or len(values) - counts.max() < FEWEST:
        return values
    kept: Floats = values[rounded != unique[counts.argmax()]]
    return kept


def kind_of(values: NDArray[Any]) -> str:
    """Return the kind of a feature. Integers with a sign, such as charges, are integers, not flags."""
    if not len(values) or (values != np.round(values)).any():
        return "continuous"
    return "flag" if set(np.unique(values).tolist()) <= {0, 1} else "integer"


def _transformed(choice: Choice, bulk: Floats) -> tuple[Choice, Floats]:
    """Return the choice with a transform, if one is needed, and the transformed values."""
    typical = without_commonest(bulk)
    far = reach(typical)
    whole = choice.kind != "continuous"
    if far <= HEAVY or "log(" in choice.expression or (whole and len(np.unique(typical[:5000])) <= _CODES):
        return choice, bulk
    said = f"its 0.5 % and 99.5 % quantiles are up to {far:.0f} widths from the median"
    if bulk.min() > 0 and reach(np.log(typical)) <= HEAVY:
        text = f"log({choice.expression})"
        return replace(choice, expression=text, kind="continuous", how="log", notes=(said,)), np.log(bulk)
    middle, scale = _middle_and_width(typical)
    inner = _bracketed(choice.expression) if not middle else f"({_bracketed(choice.expression)} - {middle:g})"
    text = f"arcsinh({inner} / {scale:g})"
    return replace(choice, expression=text, kind="continuous", how="arcsinh", notes=(said,)), np.arcsinh(
        (bulk - middle) / scale
    )


def _middle_and_width(values: Floats) -> tuple[float, float]:
    """Return the center of arcsinh (0, or the median if 0 is far away) and the robust width, rounded to one digit."""
    low, left, middle, right, high = (float(v) for v in np.percentile(values, [0.5, 16, 50, 84, 99.5]))
    width = float(f"{(right - left) / 2 or (high - low) / 5:.1g}")
    return (float(f"{middle:.3g}") if abs(middle) > 5 * width else 0.0), width


def _bounds(values: Floats, default: float | None) -> tuple[float, float] | None:
    """Return bounds beyond the extreme quantiles by half their distance, rounded outwards; not below 0 if no value is negative."""
    low, high = (float(v) for v in np.percentile(values, [0.5, 99.5]))
    margin = (high - low) / 2
    if margin <= 1e-6 * max(abs(low), abs(high)):
        return None
    step = 10.0 ** np.floor(np.log10(margin))
    bottom, top = step * np.floor((low - margin) / step), step * np.ceil((high + margin) / step)
    if values.min() >= 0 and bottom < 0:
        bottom = 0.0
    if default is not None:
        bottom = min(bottom, default)
    return float(f"{bottom:.6g}"), float(f"{top:.6g}")


def _with_sentinel(choice: Choice, expression: str, sentinel: Sentinel, default: float) -> Choice:
    """Return the choice with the default in place of the sentinel."""
    condition = sentinel.condition(_bracketed(expression))
    text = f"{choice.expression} if {condition} else {default:g}"
    note = f'{sentinel.value:g} ({sentinel.share:.1%} of the values) means "missing"'
    return replace(choice, expression=text, notes=(note, *choice.notes))


def _bracketed(expression: str) -> str:
    """Return an expression in brackets, unless it is one name or one call."""
    hidden, _ = hide_quotes(expression)
    return expression if isinstance(ast.parse(hidden, mode="eval").body, ast.Name | ast.Call) else f"({expression})"
