"""The temperature of a tagger (Guo et al., arXiv 1706.04599, sec. 4.2): one number that makes its probabilities honest."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collidekit.errors import CollidekitError

_SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
"""A probability of 0 is one that was too small for single precision."""


@dataclass(frozen=True)
class Temperature:
    """p_k -> p_k^(1/T) sum_j p_j / sum_j p_j^(1/T), which is softmax(outputs / T). Above 1 the network was too sure of itself."""

    value: float
    error: float
    """Statistical, of the rows that it was fitted on."""
    rows: int
    fitted_on: str
    """What rows these were, for people."""

    def apply(self, probabilities: NDArray[Any]) -> NDArray[Any]:
        """Calibrated probabilities (N, K) of the same type; the largest of a row stays the largest."""
        return tempered(probabilities, self.value)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, content: Any, where: object) -> "Temperature | None":
        """What ``as_dict`` gave, from a file; None where the file holds none."""
        if content is None:
            return None
        try:
            found = cls(
                float(content["value"]), float(content["error"]), int(content["rows"]), str(content["fitted_on"])
            )
        except (TypeError, ValueError, KeyError):
            found = None
        if found is None or not (math.isfinite(found.value) and found.value > 0):
            raise CollidekitError(f"{where}: its temperature is not readable; fit it again with 'collidekit calibrate'")
        return found


def tempered(probabilities: NDArray[Any], temperature: float) -> NDArray[Any]:
    """Probabilities (N, K) at another temperature; 1 / T takes T away again. Each row keeps its sum: 1, or what a network that
    relegates leaves to the classes."""
    logits = log_probabilities(probabilities) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    powers = np.exp(logits)
    shares = powers / powers.sum(axis=1, keepdims=True)
    found: NDArray[Any] = (shares * probabilities.sum(axis=1, dtype=np.float64)[:, None]).astype(probabilities.dtype)
    return found


def log_probabilities(probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """log p (N, K) in double precision, finite: what a network's outputs are but for a constant in each row."""
    logs: NDArray[np.float64] = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _SMALLEST))
    return logs
