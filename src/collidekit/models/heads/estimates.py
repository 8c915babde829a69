"""Heads of the estimates of a regression."""

from collidekit.analysis.estimates import Estimate
from collidekit.analysis.targets import Regression
from collidekit.models.heads.binned import BinnedHead
from collidekit.models.heads.flow import FlowHead
from collidekit.models.heads.gaussian import GaussianHead
from collidekit.models.heads.quantiles import QuantilesHead
from collidekit.models.heads.regression import RegressionHead

HEADS: dict[Estimate, type[RegressionHead]] = {
    "value": RegressionHead,
    "gaussian": GaussianHead,
    "quantiles": QuantilesHead,
    "binned": BinnedHead,
    "flow": FlowHead,
}


def regression_head(target: Regression) -> RegressionHead:
    """Return the head for the estimate of a target."""
    return HEADS[target.estimate](target)
