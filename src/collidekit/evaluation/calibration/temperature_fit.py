"""Fit of the temperature that minimises the weighted negative log likelihood, with its statistical error."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from collidekit.errors import CollidekitError
from collidekit.evaluation.rows import Floats, Ints, require_finite
from collidekit.models.temperature import Temperature


class NoTemperatureError(CollidekitError):
    """No finite temperature gives the best fit."""


HOTTEST, COLDEST = 100.0, 0.01
"""Limits of the fit: a temperature beyond them is not a calibration."""


def fit_temperature(
    logits: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, fitted_on: str = ""
) -> Temperature:
    """Fit a temperature to rows of known class: outputs of the network or log p (N, K), class indices (N,), weights (N,).

    The loss is convex in beta = 1/T. Its slope is sum_i w_i g_i with g_i = E_i[z] - z_true, where the mean uses the
    probabilities at beta. Its curvature is sum_i w_i Var_i[z]. The fit is the root of the slope. The error is sigma_beta
    = sqrt(sum w^2 g^2) / sum w Var[z], which holds for weighted rows; it is 1/sqrt(curvature) for unweighted rows of a
    calibrated network. sigma_T = T^2 sigma_beta.
    """
    z = np.asarray(logits, dtype=np.float64)
    truth = np.asarray(labels).astype(np.int64)
    weight = np.ones(len(z)) if weights is None else np.asarray(weights, dtype=np.float64)
    _check(z, truth, weight)
    below = z - z[np.arange(len(z)), truth][:, None]  # z_k - z_true (N, K)

    def slope(beta: float) -> float:
        return float(weight @ _moments(below, beta)[0])

    if slope(1 / HOTTEST) >= 0:
        raise NoTemperatureError(
            "no temperature can be fitted: on these rows the probabilities contain no information on the classes (equal "
            "probabilities are better)"
        )
    if slope(1 / COLDEST) <= 0:
        raise NoTemperatureError(
            f"no temperature can be fitted: nearly all of these {len(z):,} rows are predicted correctly, so a lower T is always better; "
            "use more rows"
        )
    beta = float(brentq(slope, 1 / HOTTEST, 1 / COLDEST, xtol=1e-12, rtol=1e-12))
    gradients, variances = _moments(below, beta)
    spread = float(np.sqrt((weight**2) @ gradients**2) / (weight @ variances))
    return Temperature(1 / beta, spread / beta**2, len(z), fitted_on)


def _moments(below: Floats, beta: float) -> tuple[Floats, Floats]:
    """Return mean and variance (N,) of z_k - z_true with the probabilities at beta."""
    scaled = beta * below
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    p = powers / powers.sum(axis=1, keepdims=True)
    mean = (p * below).sum(axis=1)
    return mean, (p * (below - mean[:, None]) ** 2).sum(axis=1)


def _check(z: NDArray[np.float64], labels: Ints, weights: Floats) -> None:
    if z.ndim != 2 or not len(z) == len(labels) == len(weights):
        raise CollidekitError(
            f"outputs {z.shape}, labels {labels.shape} and weights {weights.shape} must have the same length, the outputs with one "
            "number for each class"
        )
    require_finite(z, "rows of outputs")
    require_finite(weights, "weights")
    if not len(z) or labels.min() < 0:
        raise CollidekitError("no row has a known class, which the fit of a temperature needs")
    if (total := weights.sum()) <= 0:
        raise CollidekitError(f"the sum of the weights is {total:g}; it must be above 0")
