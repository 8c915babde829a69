"""Mean and standard deviation of each value, for a normal distribution in the learned scale."""

from math import e, log

import torch
from torch import Tensor
from torch.nn.functional import softplus

from collidekit.analysis.targets import Regression
from collidekit.models.heads.base import exact
from collidekit.models.heads.regression import RegressionHead

SMALLEST = 1e-6
"""Smallest standard deviation, in the learned scale."""
ONE = log(e - 1)
"""softplus(ONE) = 1: outputs of 0 give a standard deviation of 1."""


class GaussianHead(RegressionHead):
    """Gaussian head: the outputs (N, 2 V) are means, then inputs of softplus for standard deviations, of x or log x.

    ``pred_<value>`` is the median and ``pred_<value>_sigma`` half the width of the central 68.27 % interval, both in the unit of the
    target. These are mean and standard deviation; with the scale ``log``, they are exp(mean) and exp(mean) sinh(standard
    deviation).
    """

    def __init__(self, target: Regression) -> None:
        super().__init__(target)
        self.columns = tuple(f"pred_{name}{more}" for name in target.values for more in ("", "_sigma"))

    def parts(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and standard deviations (N, V) in the learned scale."""
        mean, width = raw.chunk(2, dim=1)
        return mean, softplus(width + ONE) + SMALLEST

    def estimates(self, raw: Tensor) -> Tensor:
        return self.in_unit(self.parts(raw)[0])

    def decode(self, raw: Tensor) -> dict[str, Tensor]:
        _, deviation = self.parts(exact(raw))
        median, sigma = self.estimates(raw), deviation * self.width.to(deviation)
        sigma = median * _sinh(sigma) if self.target.scale == "log" else sigma
        return dict(zip(self.columns, torch.stack([median, sigma], dim=2).flatten(1).unbind(1), strict=True))


def _sinh(values: Tensor) -> Tensor:
    """Return sinh of positive values; ``torch.sinh`` cannot be exported, and exp(x) - exp(-x) is inaccurate for small x."""
    half = torch.tanh(values / 2)
    return torch.where(values < 1, 2 * half / (1 - half.square()), (values.exp() - (-values).exp()) / 2)
