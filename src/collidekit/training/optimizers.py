"""Optimizers by name."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import Optimizer

from collidekit.analysis.features import Strict
from collidekit.settings import NotNegative, Positive, Share, setting

OPTIMIZERS: dict[str, type[Optimizer]] = {
    name: getattr(torch.optim, name)
    for name in ("AdamW", "Adam", "NAdam", "RAdam", "Adamax", "RMSprop", "SGD", "Adagrad")
}


class OptimizerSettings(Strict):
    """Settings of the optimizer."""

    learning_rate: Positive = setting(1e-3, "the largest learning rate")
    optimizer: Literal[tuple(OPTIMIZERS)] = setting("AdamW", "optimizer of torch.optim, such as AdamW, Adam, SGD")  # type: ignore[valid-type]
    betas: tuple[Share, Share] = setting((0.95, 0.999), "betas of the optimizer, such as 0.95,0.999")
    eps: Positive = setting(1e-6, "epsilon of the optimizer")
    weight_decay: NotNegative = setting(0.01, "weight decay of the optimizer")
    gradient_clip: NotNegative = setting(0.0, "clip the norm of the gradient to this value; 0: no clipping")


def build_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    factors: Mapping[nn.Parameter, float] | None = None,
) -> Optimizer:
    """Return an optimizer with the settings that it supports; SGD and RMSprop use the first beta as momentum.

    Weight decay acts on matrices only, not on biases and norms. ``factors`` are factors of the learning rate of parameters,
    1 by default; each parameter group stores its own as ``factor``.
    """
    groups: list[dict[str, Any]] = []
    for factor, members in _by_factor(parameters, factors or {}).items():
        matrices = [parameter for parameter in members if parameter.ndim > 1]
        vectors = [parameter for parameter in members if parameter.ndim <= 1]
        groups.append({"params": matrices, "weight_decay": weight_decay, "factor": factor})
        groups.append({"params": vectors, "weight_decay": 0.0, "factor": factor})
    settings: dict[str, Any] = {"lr": learning_rate, "betas": betas, "eps": eps, "momentum": betas[0]}
    accepted = inspect.signature(OPTIMIZERS[name].__init__).parameters
    return OPTIMIZERS[name](groups, **{key: value for key, value in settings.items() if key in accepted})


def set_learning_rate(optimizer: Optimizer, learning_rate: float) -> None:
    """Set the learning rate of each parameter group, times the factor of the group."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group.get("factor", 1.0)


def learning_rate_of(optimizer: Optimizer) -> float:
    """Return the learning rate without the factors of the groups."""
    group = optimizer.param_groups[0]
    return float(group["lr"]) / float(group.get("factor", 1.0))


def _by_factor(
    parameters: Iterable[nn.Parameter], factors: Mapping[nn.Parameter, float]
) -> dict[float, list[nn.Parameter]]:
    found: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        found.setdefault(factors.get(parameter, 1.0), []).append(parameter)
    return found
