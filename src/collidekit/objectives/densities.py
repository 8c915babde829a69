"""Losses of regressions that estimate a distribution; the true distribution minimises the mean of each loss.

They are strictly proper scoring rules (Gneiting, Raftery, J. Am. Stat. Assoc. 102, 2007, 359).
"""

from collections.abc import Sequence
from math import log, pi

import torch
import torch.nn.functional as F
from torch import Tensor

from collidekit.analysis.estimates import MEDIAN
from collidekit.dataset.transfer import constant
from collidekit.models.heads.binned import BinnedHead
from collidekit.models.heads.flow import FlowHead
from collidekit.models.heads.gaussian import GaussianHead
from collidekit.models.heads.quantiles import QuantilesHead
from collidekit.models.heads.regression import RegressionHead


def density_losses(head: RegressionHead, raw: Tensor, truth: Tensor) -> Tensor:
    """Return the loss (N,) of each row, the mean over its true values (N, V) in their unit; for a flow, −log of their joint
    density in the learned scale.

    For rows with unknown truth it is a finite number without meaning.
    """
    if isinstance(head, BinnedHead):
        return bin_cross_entropy(head.logits(raw), head.bins_of(truth.nan_to_num(0.0))).mean(dim=1)
    scaled = head.scaled(truth).nan_to_num(0.0).to(raw)
    if isinstance(head, FlowHead):
        return head.density(raw, scaled)
    if isinstance(head, GaussianHead):
        return gaussian_nll(*head.parts(raw), scaled).mean(dim=1)
    assert isinstance(head, QuantilesHead)
    quantiles, levels = head.parts(raw), head.target.quantiles
    if head.target.median_loss == "logcosh":
        others = [level for level in levels if level != MEDIAN]
        kept = [k for k, level in enumerate(levels) if level != MEDIAN]
        middle = log_cosh(quantiles[..., head.middle] - scaled)
        of_others = pinball(quantiles[..., kept], scaled, others)
        return ((middle + len(others) * of_others) / len(levels)).mean(dim=1)
    return pinball(quantiles, scaled, levels).mean(dim=1)


def log_cosh(difference: Tensor) -> Tensor:
    """Return log cosh of the difference d: about d² / 2 for small d, and |d| - log 2 for large d."""
    size = difference.abs()
    return size + F.softplus(-2 * size) - log(2)


def gaussian_nll(mean: Tensor, deviation: Tensor, truth: Tensor) -> Tensor:
    """Return the negative logarithm of the normal density at the truth; all arguments have one shape."""
    return ((truth - mean) / deviation).square() / 2 + deviation.log() + log(2 * pi) / 2


def pinball(quantiles: Tensor, truth: Tensor, levels: Sequence[float]) -> Tensor:
    """Return the pinball loss (N, V) of quantiles (N, V, Q) at the truth (N, V), the mean over the levels q (Q): q d for
    d = truth − quantile above 0, and (q − 1) d below (Koenker, Bassett, Econometrica 46, 1978, 33)."""
    level = constant(levels, quantiles)
    difference = truth[..., None] - quantiles
    return torch.maximum(level * difference, (level - 1) * difference).mean(dim=-1)


def bin_cross_entropy(logits: Tensor, bins: Tensor) -> Tensor:
    """Return the negative logarithm (N, V) of the probability of the bins (N, V) of the truth, for logits (N, V, B)."""
    return F.cross_entropy(logits.transpose(1, 2), bins, reduction="none")
