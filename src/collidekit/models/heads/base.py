"""What a head is: outputs of a network -> raw numbers to learn by, and raw numbers -> columns to predict."""

from typing import Self

import torch
from torch import Tensor, nn

from collidekit.analysis.schema import Analysis


def exact(values: Tensor) -> Tensor:
    """Numbers in double precision; in a graph for other runtimes, many of which have no double precision, as they are."""
    return values if torch.onnx.is_in_onnx_export() else values.double()


class Head(nn.Module):
    """Base of all heads, in torch alone, so that a graph can hold it."""

    columns: tuple[str, ...]
    """The names of what ``decode`` gives, in order."""

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        """The head for an analysis."""
        raise NotImplementedError(f"{cls.__name__} has no of")

    @property
    def outputs(self) -> int:
        """How many outputs (N, outputs) the network must have."""
        raise NotImplementedError(f"{type(self).__name__} has no outputs")

    def forward(self, outputs: Tensor) -> Tensor:
        """Raw numbers (N, M), which objectives learn by, of the outputs of a network (N, outputs)."""
        return outputs

    def decode(self, raw: Tensor) -> dict[str, Tensor]:
        """The columns (N,) of raw numbers (N, M), in double precision."""
        raise NotImplementedError(f"{type(self).__name__} has no decode")
