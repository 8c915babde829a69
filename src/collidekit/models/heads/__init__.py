"""Heads: what the outputs of a network mean. A head says how many it needs, and turns them into columns of predictions."""

from collidekit.models.heads.base import Head
from collidekit.models.heads.classes import ClassesHead
from collidekit.models.heads.estimates import regression_head
from collidekit.models.heads.regression import RegressionHead
from collidekit.models.heads.relegation import RelegationHead

__all__ = ["ClassesHead", "Head", "RegressionHead", "RelegationHead", "regression_head"]
