"""Histogram of each value: probabilities of bins with equal numbers of training rows."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from collidekit.analysis.estimates import LEVELS, MEDIAN, suffix_of
from collidekit.analysis.targets import Regression
from collidekit.dataset.batch import Batch
from collidekit.errors import CollidekitError
from collidekit.models.heads.base import exact
from collidekit.models.heads.regression import RegressionHead


class BinnedHead(RegressionHead):
    """The outputs (N, V B) are the logits of B bins of each value; within a bin the density is constant.

    The edges are quantiles of the true values of the training set, from the smallest to the largest; beyond them the density is 0.
    ``pred_<value>`` is the mean of the density, ``pred_<value>_median``, ``pred_<value>_q16`` and so on are its quantiles.
    """

    edges: Tensor

    def __init__(self, target: Regression) -> None:
        super().__init__(target)
        suffixes = ["", *(f"_{'median' if level == MEDIAN else suffix_of(level)}" for level in LEVELS)]
        self.columns = tuple(f"pred_{name}{suffix}" for name in target.values for suffix in suffixes)
        shape = (len(target.values), target.bins + 1)
        even = torch.linspace(-2, 2, target.bins + 1, dtype=torch.float64)
        self.register_buffer("edges", even.expand(shape).clone())

    def fit(self, truth: np.ndarray[Any, Any]) -> None:
        """Compute the edges from known values (N, V) of the training set.

        Raises CollidekitError if a bin has no width because of equal values.
        """
        super().fit(truth)
        edges = np.quantile(truth, np.linspace(0, 1, self.target.bins + 1), axis=0).T
        for name, own in zip(self.target.values, edges, strict=True):
            if not (np.diff(own) > 0).all():
                raise CollidekitError(
                    f"value {name!r} of a target has so many equal values that its {self.target.bins} bins cannot have equal "
                    "numbers of training rows; give fewer 'bins', or another 'estimate'"
                )
        self.edges = torch.from_numpy(np.ascontiguousarray(edges)).to(self.edges.device)

    def logits(self, raw: Tensor) -> Tensor:
        """Return the logits (N, V, B)."""
        values = len(self.target.values)
        return raw.reshape(raw.shape[0], values, self.outputs // values)

    def bins_of(self, truth: Tensor) -> Tensor:
        """Return the bins (N, V) of values in their unit; values beyond the edges are in the first or last bin."""
        inner = self.edges[:, 1:-1].double().contiguous()
        return torch.searchsorted(inner, truth.double().T.contiguous(), right=True).T

    def estimates(self, raw: Tensor) -> Tensor:
        chances = exact(self.logits(raw)).softmax(-1)
        edges = self.edges.to(chances)
        return (chances * (edges[:, 1:] + edges[:, :-1]) / 2).sum(-1)

    def quantile(self, raw: Tensor, level: float) -> Tensor:
        """Return the quantile (N, V) of the histogram at the probability ``level``."""
        found = exact(self.logits(raw)).softmax(-1)
        below = found.cumsum(-1)
        bins = (below[..., :-1] < level).sum(-1, keepdim=True)
        chance = found.gather(-1, bins)
        part = (level - (below.gather(-1, bins) - chance)) / chance.clamp(min=torch.finfo(chance.dtype).tiny)
        return self._at(bins, part.clamp(0, 1)).squeeze(-1)

    def cumulative(self, raw: Tensor, truth: Tensor) -> Tensor:
        """Return the probability (N, V) of values below the truth, which is in its unit; NaN if it is not known."""
        found = self.logits(raw).double().softmax(-1)
        bins = self.bins_of(truth)[..., None]
        zero = torch.zeros_like(bins, dtype=torch.float64)
        low, high = self._at(bins, zero), self._at(bins, zero + 1)
        part = ((truth.double()[..., None] - low) / (high - low)).clamp(0, 1)
        chance = found.gather(-1, bins)
        return ((found.cumsum(-1).gather(-1, bins) - chance) + part * chance).squeeze(-1).clamp(0, 1)

    def _at(self, bins: Tensor, part: Tensor) -> Tensor:
        """Return the value (N, V, 1) at a fraction of the width of bins."""
        edges = self.edges.to(part).expand(bins.shape[0], -1, -1)
        low, high = edges.gather(-1, bins), edges.gather(-1, bins + 1)
        return low + part * (high - low)

    def decode(self, raw: Tensor) -> dict[str, Tensor]:
        found = torch.stack([self.estimates(raw), *(self.quantile(raw, level) for level in LEVELS)], dim=2)
        return dict(zip(self.columns, found.flatten(1).unbind(1), strict=True))

    def answer(self, raw: Tensor, batch: Batch, name: str) -> dict[str, Tensor]:
        found = self.decode(raw)
        truth = batch.truth.get(name)
        if truth is not None:
            pit = self.cumulative(raw, truth.to(raw.device))
            found |= {f"pit_{value}": pit[:, v] for v, value in enumerate(self.target.values)}
        return found
