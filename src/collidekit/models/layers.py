"""Small parts of several networks."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from collidekit.errors import CollidekitError, did_you_mean

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "elu": nn.ELU}


def build_activation(name: str) -> nn.Module:
    """Return the activation with this name."""
    if name not in ACTIVATIONS:
        names = list(ACTIVATIONS)
        raise CollidekitError(
            f"there is no activation {name!r}{did_you_mean(name, names)}; known are {', '.join(names)}"
        )
    return ACTIVATIONS[name]()


def mlp(sizes: Sequence[int], activation: str = "relu", dropout: float = 0.0, last: bool = True) -> nn.Sequential:
    """Return dense layers of the given sizes, input first; with ``last``, an activation follows the last layer, too.

    Weights are initialised uniformly with the variance of He et al. (arXiv 1502.01852, eq. 10), biases with 0: with the smaller
    default of torch, deep sets stay on a plateau for many epochs.
    """
    layers: list[nn.Module] = []
    for i, (width, following) in enumerate(pairwise(sizes)):
        layers.append(_dense(width, following))
        if last or i < len(sizes) - 2:
            layers.append(build_activation(activation))
            if dropout:
                layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _dense(width: int, following: int) -> nn.Linear:
    layer = nn.Linear(width, following)
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


class _SegmentSum(torch.autograd.Function):
    """Sum over rows: ``index_add`` on a CPU, where it is three times as fast as ``segment_reduce``, which fixes the order."""

    @staticmethod
    def forward(context: Any, values: Tensor, offsets: Tensor) -> Tensor:
        rows = torch.repeat_interleave(offsets.diff(), output_size=len(values))  # the row of each constituent (T,)
        context.save_for_backward(rows)
        context.dtype = values.dtype
        values = values if values.dtype == torch.float64 else values.float()
        if values.device.type == "cpu":
            return values.new_zeros(len(offsets) - 1, values.shape[1]).index_add_(0, rows, values)
        return torch.segment_reduce(values, "sum", offsets=offsets, axis=0, initial=0.0)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (rows,) = context.saved_tensors
        return gradients[0].to(context.dtype).index_select(0, rows), None


def segment_sum(values: Tensor, offsets: Tensor) -> Tensor:
    """Return sums (N, F) of ragged values (T, F) over each row, in at least single precision; 0 for an empty row."""
    return _SegmentSum.apply(values, offsets)  # type: ignore[no-any-return, no-untyped-call]


def whole_blocks(values: Tensor, offsets: Tensor, size: int = 512) -> tuple[Tensor, Tensor]:
    """Return values (T, F) in bfloat16 padded with zeros to a multiple of ``size``; the zeros are one more row at the end.

    oneDNN compiles and keeps a kernel for every T: without padding, memory grows by gigabytes in an epoch.
    """
    if values.dtype != torch.bfloat16 and not torch.is_autocast_enabled(values.device.type):
        return values, offsets
    missing = -len(values) % size
    total = offsets[-1:] + missing
    return torch.nn.functional.pad(values, (0, 0, 0, missing)), torch.cat([offsets, total])
