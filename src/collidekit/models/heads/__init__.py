"""Heads: they define the number of outputs of a network, and decode them into columns of predictions."""

from collidekit.models.heads.base import Head
from collidekit.models.heads.classes import ClassesHead
from collidekit.models.heads.estimates import regression_head
from collidekit.models.heads.regression import RegressionHead
from collidekit.models.heads.relegation import RelegationHead

__all__ = ["ClassesHead", "Head", "RegressionHead", "RelegationHead", "regression_head"]
