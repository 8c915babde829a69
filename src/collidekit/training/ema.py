"""The exponential moving average of a model's weights."""

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """Keeps w' = d w' + (1 - d) w, with d = min(decay, (1 + step) / (10 + step)) so that the start does not stay in it."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        if any(parameter.dtype == torch.bfloat16 for parameter in model.parameters()):
            self.model.float()  # small steps would be lost in bfloat16

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        mine: list[Tensor] = list(self.model.parameters())
        theirs = [p.to(average.dtype) for p, average in zip(model.parameters(), mine, strict=True)]
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for average, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(buffer)
