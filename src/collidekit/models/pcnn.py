"""P-CNN: a one-dimensional residual network over the ordered constituents (arXiv 1902.08570)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from collidekit.dataset.batch import Input, Ragged
from collidekit.dataset.transfer import on_host, send, send_indices
from collidekit.errors import CollidekitError
from collidekit.models.constituent_layers import BatchNorm, ConstituentLinear
from collidekit.models.layers import mlp, segment_sum
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Embedding, Inputs, Network
from collidekit.models.padded import Padded, PaddedInput, masked_mean


class PCNN(Network):
    """P-CNN with 14 layers: a convolution, six units of two convolutions each, and a dense layer after the pooling.

    Kernels are 3 constituents wide. Each stage of ``per_stage`` units, except the first, starts by halving the number of
    constituents. Each collection has its own CNN; flat groups are inputs of the dense layer.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        stem: int = 32,
        units: Sequence[int] = (64, 64, 64, 64, 128, 128),
        per_stage: int = 2,
        dense: Sequence[int] = (512,),
        dropout: float = 0.2,
    ) -> None:
        super().__init__(inputs, outputs)
        if not self.collections:
            raise CollidekitError("the analysis has no collection of constituents; take mlp")
        self.towers = NamedModules(
            {name: Tower(len(inputs[name].features), [stem, *units], per_stage) for name in self.collections}
        )
        features = sum(len(inputs[name].features) for name in self.groups)
        widths = [[stem, *units][-1] * len(self.collections) + features, *dense]
        self.dense = mlp(widths, dropout=dropout)
        self.output = mlp([widths[-1], outputs], last=False)
        self.row_width = widths[-1]

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        return self.embed(inputs).outputs  # (N, K)

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        """Return outputs and rows; constituents have no embeddings, because the stages halve their number."""
        pooled: list[Tensor] = []
        for name in self.collections:
            constituents = inputs[name]
            assert isinstance(constituents, Ragged)
            pooled.append(self.towers[name](constituents.values, constituents.offsets))  # (N, C)
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        with torch.autocast(pooled[0].device.type, enabled=False):  # few rows: full precision costs nothing here
            together = torch.cat([*pooled, *flat], dim=1).to(next(self.output.parameters()).dtype)
            row = self.dense(together)
            return Embedding(self.output(row), row, {})

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        pooled = [self.towers[name].padded(inputs[name]) for name in self.collections]  # type: ignore[operator]
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        row = self.dense(torch.cat([*pooled, *flat], dim=1))
        return Embedding(self.output(row), row, {})


class Tower(nn.Module):
    """CNN of a collection: ragged values (T, F) -> mean over the remaining constituents of each row (N, C)."""

    def __init__(self, features: int, widths: Sequence[int], per_stage: int) -> None:
        super().__init__()
        self.first = Convolution(features, widths[0])
        self.units = nn.ModuleList(
            Unit(width, following, halve=i > 0 and i % per_stage == 0)
            for i, (width, following) in enumerate(pairwise(widths))
        )

    def forward(self, values: Tensor, offsets: Tensor) -> Tensor:
        values = self.first(values, offsets)
        for unit in self.units:
            values, offsets = unit(values, offsets)
        return segment_sum(values, offsets) / offsets.diff().clamp(min=1)[:, None]

    def padded(self, entry: Padded) -> Tensor:
        """Return the same (N, C) for a block."""
        values, mask = self.first.padded(entry.values, entry.mask), entry.mask
        for unit in self.units:
            values, mask = unit.padded(values, mask)  # type: ignore[operator]
        return masked_mean(values, mask)


class Unit(nn.Module):
    """Two convolutions and a shortcut; with ``halve`` only every second constituent is kept."""

    def __init__(self, width: int, following: int, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.one = Convolution(width, following)
        self.two = Convolution(following, following)
        self.shortcut = (
            ConstituentLinear(width, following, bias=False) if halve or width != following else nn.Identity()
        )

    def forward(self, values: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        kept, shorter = every_second(offsets) if self.halve else (None, offsets)
        wide = self.two(self.one(values, offsets, kept), shorter)
        values = values if kept is None else values.index_select(0, kept)
        return self.shortcut(values) + wide, shorter

    def padded(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same for a block (N, L, C), whose empty slots are 0, and its mask (N, L)."""
        step = 2 if self.halve else 1
        shorter = mask[:, ::step]
        wide = self.two.padded(self.one.padded(values, shorter, step), shorter)
        return self.shortcut(values[:, ::step]) + wide, shorter


class Convolution(nn.Module):
    """Convolution with kernel 3 along each row, batch normalisation and ReLU; the bias is that of the normalisation."""

    def __init__(self, width: int, following: int) -> None:
        super().__init__()
        self.linear = ConstituentLinear(3 * width, following, bias=False)
        nn.init.kaiming_uniform_(self.linear.weight, nonlinearity="relu")
        self.norm = BatchNorm(following)

    def forward(self, values: Tensor, offsets: Tensor, kept: Tensor | None = None) -> Tensor:
        windows = neighbours(values, offsets)  # (T, 3 C)
        if kept is not None:
            windows = windows.index_select(0, kept)
        return torch.relu(self.norm(self.linear(windows)))

    def padded(self, values: Tensor, mask: Tensor, step: int = 1) -> Tensor:
        """Return the same for every ``step``-th slot of a block (N, L, C), whose empty slots are 0, with ``mask`` of these slots."""
        before, after = F.pad(values, (0, 0, 1, 0))[:, :-1], F.pad(values, (0, 0, 0, 1))[:, 1:]
        windows = torch.cat([before, values, after], dim=2)[:, ::step]
        found = torch.relu(self.norm(self.linear(windows)))
        return found * mask[..., None].to(found.dtype)


def every_second(offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positions of the first, third, fifth … constituent of each row, and their offsets."""
    device, offsets = offsets.device, on_host(offsets)
    counts = (offsets.diff() + 1) // 2
    shorter = torch.cat([offsets[:1], counts.cumsum(0)])
    total = int(shorter[-1])
    starts = torch.repeat_interleave(offsets[:-1] - 2 * shorter[:-1], counts, output_size=total)
    return send(starts + 2 * torch.arange(total), device), send(shorter, device, keep=True)


def neighbours(values: Tensor, offsets: Tensor) -> Tensor:
    """Return each constituent concatenated with its two neighbours in the row (T, 3 C); 0 beyond the ends of a row."""
    offsets = on_host(offsets)
    filled = offsets.diff() > 0
    first, last = offsets[:-1][filled], offsets[1:][filled] - 1
    longer = first < last
    ends = send_indices(values.device, [first, last, first[longer], last[longer]])
    return _Neighbours.apply(values, *ends)  # type: ignore[no-any-return, no-untyped-call]


class _Neighbours(torch.autograd.Function):
    """Concatenation of three copies of the values; with indices it would take several times as long.

    ``first`` and ``last`` are constituents of all rows, ``one`` and ``two`` those of rows with more than one constituent.
    """

    @staticmethod
    def forward(context: Any, values: Tensor, first: Tensor, last: Tensor, one: Tensor, two: Tensor) -> Tensor:
        context.save_for_backward(first, last, one, two)
        before, here, after = (windows := values.new_empty(len(values), 3 * values.shape[1])).chunk(3, dim=1)
        here.copy_(values)
        before[1:] = values[:-1]
        after[:-1] = values[1:]
        before.index_fill_(0, first, 0.0)
        after.index_fill_(0, last, 0.0)
        return windows

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        first, last, one, two = context.saved_tensors
        before, here, after = gradients[0].chunk(3, dim=1)
        total = here.clone()
        total[:-1] += before[1:]
        total[1:] += after[:-1]
        total[first], total[last] = here[first], here[last]  # no contribution of neighbouring rows
        total[one] += before[one + 1]
        total[two] += after[two - 1]
        return total, None, None, None, None
