"""Class probabilities in the window of the figure of merit, fitted during the training of a network."""

from typing import Any

import numpy as np
from scipy.optimize import minimize

Array = np.ndarray[Any, Any]
DECAY, RIDGE, STEEP = 0.95, 1e-4, 10.0
LEAST_TRUST, TRUST_WIDTH = 0.1, 0.15
"""Lower limit of the trust, and width of the prior of its logarithm."""


class WindowPosterior:
    """softmax(a_k + t b z_k) of logits z (N, K), with the K + 1 numbers a, b fitted to the rows in the window.

    This is Platt scaling (1999) for K classes. A network is trained on all rows; in the window the classes have other fractions and
    slightly different inputs. Each batch makes one Newton step, with a Hessian averaged over the last batches.

    A network is overconfident on its training rows. The factor t, its trust, is therefore fitted to other rows.
    """

    def __init__(self, shares: Array) -> None:
        """``shares (K,)``: fraction of the rows of each class in the window; the fit starts at their logarithms."""
        self.offsets = np.log(np.maximum(shares, 1e-6))
        self.offsets -= self.offsets.mean()
        self.steepness, self.trust = 1.0, 1.0
        self.hessian = np.zeros((len(shares) + 1, len(shares) + 1))
        self.steps = 0

    def __call__(self, logits: Array) -> Array:
        """Return probabilities (N, K)."""
        return self._probabilities(self.trust * self.steepness * _bounded(logits))

    def _probabilities(self, scaled: Array) -> Array:
        scaled = self.offsets + scaled
        scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        found: Array = scaled / scaled.sum(axis=1, keepdims=True)
        return found

    def fit(self, logits: Array, labels: Array, weights: Array) -> None:
        """Make one step with the rows of a batch in the window; ``weights (N,)`` are 0 outside."""
        inside = weights > 0
        if not inside.any():
            return
        z, weights = _bounded(logits[inside]), weights[inside] / weights[inside].sum()
        p = self._probabilities(self.steepness * z)
        residual = p - np.eye(p.shape[1])[labels[inside]]
        weighted = residual * weights[:, None]
        gradient = np.append(weighted.sum(axis=0), (weighted * z).sum())
        mean = (p * z).sum(axis=1)
        cross = (weights[:, None] * p * (z - mean[:, None])).sum(axis=0)  # of offset k and steepness
        square = (weights * ((p * z**2).sum(axis=1) - mean**2)).sum()
        offsets = np.diag((weights[:, None] * p).sum(axis=0)) - (weights[:, None] * p).T @ p
        hessian = np.block([[offsets, cross[:, None]], [cross[None, :], np.array([[square]])]])
        decay = min(DECAY, self.steps / (self.steps + 1))
        self.hessian = decay * self.hessian + (1 - decay) * hessian
        step = np.linalg.solve(self.hessian + RIDGE * np.eye(len(gradient)), gradient)
        step = np.clip((1 - decay) * step, -0.5, 0.5)
        self.offsets, self.steepness = self.offsets - step[:-1], max(self.steepness - float(step[-1]), 0.1)
        self.steps += 1

    def fit_trust(self, logits: Array, labels: Array, weights: Array) -> None:
        """Fit the trust with rows that are not in the training set: one over their temperature, and at most 1.

        An offset for each class is fitted, too, and not used. Logits of a diverging network are not fitted: their loss ends the
        training.
        """
        if weights.sum() <= 0 or not np.isfinite(logits).all():
            return
        z, weights = _bounded(logits.astype(np.float64)), weights / weights.mean()
        truth = np.eye(z.shape[1])[labels]

        def loss(values: Array) -> tuple[float, Array]:
            """Return -log P(truth), and its derivatives with respect to log t and an offset for each class."""
            trust, offsets = np.exp(values[0]), values[1:]
            log_p = trust * z + offsets
            log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
            residual = weights[:, None] * (np.exp(log_p) - truth)
            found = -float(weights @ (log_p * truth).sum(axis=1)) + 0.5 * (values[0] / TRUST_WIDTH) ** 2
            by_trust = trust * (residual * z).sum() + values[0] / TRUST_WIDTH**2
            return found + 0.5 * float(offsets @ offsets), np.append(by_trust, residual.sum(axis=0) + offsets)

        bounds = [(np.log(LEAST_TRUST), 0.0), *[(-STEEP, STEEP)] * z.shape[1]]
        self.trust = float(np.exp(minimize(loss, np.zeros(len(bounds)), jac=True, bounds=bounds).x[0]))

    def state(self) -> dict[str, Any]:
        return {
            "offsets": self.offsets.tolist(), "steepness": float(self.steepness), "hessian": self.hessian.tolist(),
            "trust": self.trust, "steps": self.steps,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        self.offsets, self.hessian = np.array(state["offsets"]), np.array(state["hessian"])
        self.steepness, self.trust = float(state["steepness"]), float(state["trust"])
        self.steps = int(state["steps"])


def _bounded(logits: Array) -> Array:
    """Return logits relative to their mean, limited to 10."""
    found: Array = np.clip(logits - logits.mean(axis=1, keepdims=True), -STEEP, STEEP)
    return found
