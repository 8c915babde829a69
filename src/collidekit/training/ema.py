"""Exponential moving average of the weights of a model."""

import copy

import torch
from torch import Tensor, nn

STATISTICS = ("running_mean", "running_var")
"""Buffers of batch normalisations. They are averaged, too: those of the current weights do not fit the averaged weights."""


class WeightAverage:
    """Running mean w' = d w' + (1 - d) w, with d = min(decay, (1 + step) / (10 + step)) to forget the initial weights."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        if any(parameter.dtype == torch.bfloat16 for parameter in model.parameters()):
            self.model.float()  # bfloat16 would lose small steps

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        mine = _averaged(self.model)
        theirs = [value.to(average.dtype) for value, average in zip(_averaged(model), mine, strict=True)]
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for (name, average), buffer in zip(self.model.named_buffers(), model.buffers(), strict=True):
            if not name.endswith(STATISTICS):
                average.copy_(buffer)


def _averaged(model: nn.Module) -> list[Tensor]:
    statistics = [buffer for name, buffer in model.named_buffers() if name.endswith(STATISTICS)]
    return [*model.parameters(), *statistics]
