"""Quantiles of each value, which cannot cross."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from collidekit.analysis.estimates import MEDIAN, suffix_of
from collidekit.analysis.targets import Regression
from collidekit.models.heads.base import exact
from collidekit.models.heads.regression import RegressionHead


class QuantilesHead(RegressionHead):
    """Head of quantiles: the outputs (N, V Q) are the median of each value, and the distances between neighbouring quantiles.

    Softplus makes the distances positive, and they are added from the median outwards. Quantiles therefore never cross. ``pred_<value>`` is the median, ``pred_<value>_q16`` the quantile 0.16.
    """

    def __init__(self, target: Regression) -> None:
        super().__init__(target)
        self.middle = target.quantiles.index(MEDIAN)
        suffixes = ["" if level == MEDIAN else f"_{suffix_of(level)}" for level in target.quantiles]
        self.columns = tuple(f"pred_{name}{suffix}" for name in target.values for suffix in suffixes)

    def parts(self, raw: Tensor) -> Tensor:
        """Return the quantiles (N, V, Q) in the learned scale, in ascending order."""
        numbers = raw.reshape(raw.shape[0], len(self.target.values), len(self.target.quantiles))
        median, middle = numbers[..., self.middle, None], self.middle
        steps = softplus(torch.cat([numbers[..., :middle], numbers[..., middle + 1 :]], dim=-1))
        below = median - steps[..., :middle].flip(-1).cumsum(-1).flip(-1)
        return torch.cat([below, median, median + steps[..., middle:].cumsum(-1)], dim=-1)

    def estimates(self, raw: Tensor) -> Tensor:
        return self.in_unit(self.parts(raw)[..., self.middle])

    def decode(self, raw: Tensor) -> dict[str, Tensor]:
        found = self.in_unit(self.parts(exact(raw)).transpose(1, 2)).transpose(1, 2)
        return dict(zip(self.columns, found.flatten(1).unbind(1), strict=True))
