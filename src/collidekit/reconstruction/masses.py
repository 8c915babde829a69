"""Masses that the solvers assume."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collidekit.errors import CollidekitError

Mass = float | NDArray[np.float64]


@dataclass(frozen=True)
class Masses:
    """Masses in GeV, each a number or an array ``(N,)`` with one value per event."""

    top: Mass = 172.5
    w: Mass = 80.379
    bottom: Mass | None = None
    """Mass of b jets; None uses the mass of each jet."""
    massless_leptons: bool = False
    """True if leptons are massless; else their mass is that of their four-momentum."""

    def __post_init__(self) -> None:
        for name in ("top", "w", "bottom"):
            value = getattr(self, name)
            if value is None:
                continue
            array = np.asarray(value, dtype=np.float64)
            least_is_fine = array >= 0 if name == "bottom" else array > 0
            if array.ndim > 1 or not np.all(np.isfinite(array) & least_is_fine):
                raise CollidekitError(
                    f"masses: {name} must be a positive number in GeV or an array of one such number per event, got {value}"
                )

    def of_rows(self, rows: slice) -> "Masses":
        """Return the masses of some events."""

        def cut(value: Mass) -> Mass:
            return value[rows] if isinstance(value, np.ndarray) and value.ndim else value

        bottom = None if self.bottom is None else cut(self.bottom)
        return Masses(cut(self.top), cut(self.w), bottom, self.massless_leptons)


def per_event(value: Mass, dimensions: int) -> NDArray[np.float64]:
    """Return a mass with trailing axes of length 1, so that it broadcasts to ``dimensions`` axes of which the first is events."""
    array = np.asarray(value, dtype=np.float64)
    return array.reshape(array.shape + (1,) * (dimensions - 1)) if array.ndim else array
