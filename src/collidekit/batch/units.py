"""Amounts in a site file: ``4 GB`` of memory, ``2h`` of walltime."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_MEGABYTES = {"MB": 1, "M": 1, "GB": 1024, "G": 1024, "TB": 1024**2, "T": 1024**2}
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def megabytes(value: Any) -> int:
    """Return the megabytes of ``4 GB`` or ``500 MB``."""
    match = _AMOUNT.fullmatch(str(value).strip())
    if not match or match[2].upper().replace("IB", "B") not in _MEGABYTES:
        raise ValueError(f"{value!r} is not an amount with a unit, such as 4 GB or 500 MB")
    return _above_zero(value, round(float(match[1]) * _MEGABYTES[match[2].upper().replace("IB", "B")]))


def seconds(value: Any) -> int:
    """Return the seconds of ``2h``, ``90 min``, ``3d`` or ``1d 12h``."""
    text = str(value).strip()
    parts = _AMOUNT.findall(text)
    if not parts or _AMOUNT.sub("", text).strip() or any(unit not in _SECONDS for _, unit in parts):
        raise ValueError(f"{value!r} is not a time with a unit, such as 90min, 2h or 3d")
    return _above_zero(value, round(sum(float(number) * _SECONDS[unit] for number, unit in parts)))


def _above_zero(value: Any, amount: int) -> int:
    if not amount:
        raise ValueError(f"{value!r} is zero; give more than 0")
    return amount


def show_memory(amount: float) -> str:
    """Return ``1.5 GB`` for 1536 megabytes."""
    return f"{amount / 1024:.3g} GB" if amount >= 1024 else f"{amount:.0f} MB"


def show_time(amount: int) -> str:
    """Return ``2h 30min`` for 9000 seconds."""
    parts = [(amount // 86400, "d"), (amount % 86400 // 3600, "h"), (amount % 3600 // 60, "min"), (amount % 60, "s")]
    return " ".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


Memory = Annotated[int, BeforeValidator(megabytes), PlainSerializer(lambda value: f"{value} MB")]
"""Megabytes; in YAML with a unit."""
Time = Annotated[int, BeforeValidator(seconds), PlainSerializer(lambda value: f"{value}s")]
"""Seconds; in YAML with a unit."""
