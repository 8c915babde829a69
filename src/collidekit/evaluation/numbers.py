"""Numbers with errors, formatted as in publications."""

import math


def with_error(value: float, error: float | None) -> str:
    """Return ``0.98477 ± 0.00017`` or ``1290 ± 110``: two digits of the error, and the value rounded to match; without an error the value."""
    if error is None or not math.isfinite(error) or error <= 0:
        return f"{value:.4g}"
    decimals = 1 - math.floor(math.log10(error))
    if 10 ** (decimals - 1) * error >= 9.95:  # 0.0996 rounds to 0.10, not to 0.100
        decimals -= 1
    if decimals > 8 or (decimals < -4):
        return f"{value:.6g} ± {error:.2g}"
    rounded, spread = round(value, decimals), round(error, decimals)
    places = max(decimals, 0)
    return f"{rounded:.{places}f} ± {spread:.{places}f}"


def percent(fraction: float) -> str:
    """Return ``0.1 %`` for 0.001."""
    return f"{100 * fraction:.4g} %"
