"""Significance of S signal and B background events, and its derivatives."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from collidekit.analysis.figure_of_merit import FigureOfMerit

SMALLEST = 1e-9
"""Lower limit of numbers of events."""


@dataclass(frozen=True)
class Significance:
    """Significance S / sqrt(S + B), or the Asimov significance with a relative systematic error of the background.

    The Asimov significance is eq. 2.4 of Elwood, Kruecker, Shchedrolosiev, arXiv 1806.00322 (after Cowan et al., arXiv 1007.1727).
    """

    kind: str = "simple"
    background_uncertainty: float = 0.0

    @classmethod
    def of(cls, merit: FigureOfMerit) -> "Significance":
        return cls(merit.significance, merit.background_uncertainty)

    def __call__(self, signal: Any, background: Any) -> Any:
        """Return the significance for numbers or arrays of yields; 0 without signal."""
        s, b = (torch.as_tensor(np.asarray(values, dtype=np.float64)) for values in (signal, background))
        found = self._formula(s.clamp(min=SMALLEST), b).numpy() * (s > 0).numpy()
        return float(found) if found.ndim == 0 else found

    def slopes(self, signal: float, background: float) -> tuple[float, float, float]:
        """Return the significance and its derivatives with respect to S and B."""
        yields = (max(signal, SMALLEST), max(background, SMALLEST))
        s, b = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in yields)
        found = self._formula(s, b)
        by_signal, by_background = torch.autograd.grad(found, [s, b])
        return found.item(), by_signal.item(), by_background.item()

    def _formula(self, s: Tensor, b: Tensor) -> Tensor:
        if self.kind == "simple":
            return s / (s + b).sqrt()
        b = b.clamp(min=SMALLEST)
        if not self.background_uncertainty:
            return (2 * ((s + b) * (s / b).log1p() - s)).clamp(min=SMALLEST).sqrt()
        v = (self.background_uncertainty * b) ** 2
        gain = (s + b) * ((s + b) * (b + v) / (b**2 + (s + b) * v)).log()
        loss = b**2 / v * (v * s / (b * (b + v))).log1p()
        return (2 * (gain - loss)).clamp(min=SMALLEST).sqrt()
