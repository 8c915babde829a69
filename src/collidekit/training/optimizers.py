"""The optimizers that a training may name."""

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
    """The optimizer and its settings."""

    learning_rate: Positive = setting(1e-3, "the largest learning rate")
    optimizer: Literal[tuple(OPTIMIZERS)] = setting("AdamW", "AdamW, Adam, SGD ... of torch.optim")  # type: ignore[valid-type]
    betas: tuple[Share, Share] = setting((0.95, 0.999), "the optimizer's betas, such as 0.95,0.999")
    eps: Positive = setting(1e-6, "the optimizer's epsilon")
    weight_decay: NotNegative = setting(0.01, "the optimizer's weight decay")
    gradient_clip: NotNegative = setting(0.0, "largest norm of the gradient; 0 for none")


def build_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    factors: Mapping[nn.Parameter, float] | None = None,
) -> Optimizer:
    """An optimizer with the settings that it has; SGD and RMSprop take the first beta as momentum.

    Weight decay is for matrices only: biases and norms are left alone. ``factors`` are those of the learning rates of
    parameters, 1 where none is given; each group has its own as ``factor``.
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
    """The learning rate, for each group times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group.get("factor", 1.0)


def learning_rate_of(optimizer: Optimizer) -> float:
    """The learning rate that the factors of the groups are factors of."""
    group = optimizer.param_groups[0]
    return float(group["lr"]) / float(group.get("factor", 1.0))


def _by_factor(
    parameters: Iterable[nn.Parameter], factors: Mapping[nn.Parameter, float]
) -> dict[float, list[nn.Parameter]]:
    found: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        found.setdefault(factors.get(parameter, 1.0), []).append(parameter)
    return found
