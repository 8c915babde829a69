"""The temperature of a tagger (Guo et al., arXiv 1706.04599, sec. 4.2): one number that calibrates its probabilities."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collidekit.errors import CollidekitError

_SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
"""Value for a probability of 0, which was too small for single precision."""


@dataclass(frozen=True)
class Temperature:
    """Temperature T: p_k -> p_k^(1/T) sum_j p_j / sum_j p_j^(1/T), that is softmax(outputs / T); T > 1: overconfident network."""

    value: float
    error: float
    """Statistical error from the fitted rows."""
    rows: int
    fitted_on: str
    """Description of the fitted rows."""

    def apply(self, probabilities: NDArray[Any]) -> NDArray[Any]:
        """Return calibrated probabilities (N, K) of the same type; the largest one of a row stays the largest."""
        return tempered(probabilities, self.value)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, content: Any, where: object) -> "Temperature | None":
        """Read the output of ``as_dict`` from a file; None if the file has no temperature."""
        if content is None:
            return None
        try:
            found = cls(
                float(content["value"]), float(content["error"]), int(content["rows"]), str(content["fitted_on"])
            )
        except (TypeError, ValueError, KeyError):
            found = None
        if found is None or not (math.isfinite(found.value) and found.value > 0):
            raise CollidekitError(f"{where}: its temperature cannot be read; fit it again with 'collidekit calibrate'")
        return found


def tempered(probabilities: NDArray[Any], temperature: float) -> NDArray[Any]:
    """Return probabilities (N, K) at another temperature; 1 / T is the inverse of T.

    The sum of each row does not change: 1, or less for a network with relegation."""
    logits = log_probabilities(probabilities) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    powers = np.exp(logits)
    shares = powers / powers.sum(axis=1, keepdims=True)
    found: NDArray[Any] = (shares * probabilities.sum(axis=1, dtype=np.float64)[:, None]).astype(probabilities.dtype)
    return found


def log_probabilities(probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """Return finite log p (N, K) in double precision: the outputs of the network up to a constant in each row."""
    logs: NDArray[np.float64] = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _SMALLEST))
    return logs
