"""The optimizers that a training may name."""

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

OPTIMIZERS: dict[str, type[Optimizer]] = {
    name: getattr(torch.optim, name)
    for name in ("AdamW", "Adam", "NAdam", "RAdam", "Adamax", "RMSprop", "SGD", "Adagrad")
}


def build_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> Optimizer:
    """An optimizer with the settings that it has; SGD and RMSprop take the first beta as momentum.

    Weight decay is for matrices only: biases and norms are left alone.
    """
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for parameter in parameters:
        (matrices if parameter.ndim > 1 else vectors).append(parameter)
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    settings: dict[str, Any] = {"lr": learning_rate, "betas": betas, "eps": eps, "momentum": betas[0]}
    accepted = inspect.signature(OPTIMIZERS[name].__init__).parameters
    return OPTIMIZERS[name](groups, **{key: value for key, value in settings.items() if key in accepted})
