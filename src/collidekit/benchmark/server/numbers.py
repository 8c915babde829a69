"""Scores as they are shown: as many digits as the error allows."""

import math
from typing import Any

from collidekit.benchmark.definition import Metric


def score_cell(score: dict[str, Any], metric: Metric) -> dict[str, str]:
    """Return value, error and spread of a score as text."""
    value, error, spread = score.get("value"), score.get("error"), score.get("spread")
    if value is None or not math.isfinite(value):
        return {"value": "not known", "error": "", "spread": ""}
    digits = metric.precision if metric.precision is not None else _digits(value, error)
    sign = "≥ " if score.get("limit") else ""
    return {
        "value": f"{sign}{value:.{digits}f}", "error": _text(error, digits), "spread": _text(spread, digits)
    }  # fmt: skip


def _digits(value: float, error: float | None) -> int:
    """Return the decimals of a value: two digits of its error, or four digits of the value."""
    scale = error if error and math.isfinite(error) else abs(value) / 100
    return min(6, max(0, 1 - math.floor(math.log10(scale)))) if scale else 4


def _text(value: float | None, digits: int) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
