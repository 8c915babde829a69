"""Base of heads: outputs of a network -> raw numbers for the loss, and raw numbers -> columns of predictions."""

from typing import Self

import torch
from torch import Tensor, nn

from collidekit.analysis.schema import Analysis


def exact(values: Tensor) -> Tensor:
    """Return numbers in double precision; unchanged in an exported graph, because many runtimes have no double precision."""
    return values if torch.onnx.is_in_onnx_export() else values.double()


class Head(nn.Module):
    """Base of all heads; they use torch only, so that they can be exported."""

    columns: tuple[str, ...]
    """Names of the columns of ``decode``, in order."""

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        """Return the head for an analysis."""
        raise NotImplementedError(f"{cls.__name__} has no of")

    @property
    def outputs(self) -> int:
        """Number of outputs (N, outputs) that the network must have."""
        raise NotImplementedError(f"{type(self).__name__} has no outputs")

    def forward(self, outputs: Tensor) -> Tensor:
        """Return raw numbers (N, M) for objectives from the outputs of a network (N, outputs)."""
        return outputs

    def decode(self, raw: Tensor) -> dict[str, Tensor]:
        """Return the columns (N,) from raw numbers (N, M), in double precision."""
        raise NotImplementedError(f"{type(self).__name__} has no decode")
