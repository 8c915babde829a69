"""Multilayer perceptron on flat groups and leading constituents."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from collidekit.dataset.batch import Input, Ragged
from collidekit.dataset.transfer import on_host, send
from collidekit.errors import CollidekitError
from collidekit.models.layers import mlp
from collidekit.models.network import Embedding, Inputs, Network
from collidekit.models.padded import Padded, PaddedInput


class MLP(Network):
    """Dense layers on all flat groups, and on the features of the first ``leading`` constituents of each collection.

    If a row has fewer constituents, learned numbers replace the missing features. With ``leading``, the embedding of a
    constituent is the concatenation of its features and the last hidden layer of its row.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        hidden: Sequence[int] = (100, 100, 100),
        activation: str = "relu",
        dropout: float = 0.0,
        leading: int = 0,
    ) -> None:
        super().__init__(inputs, outputs)
        if leading < 0:
            raise CollidekitError(f"leading is {leading}; it must be 0 or more")
        if not self.groups and not (self.collections and leading):
            more = ", the option leading" if self.collections else ""
            raise CollidekitError(f"the analysis has no flat group of inputs; add one{more}, or take pfn")
        self.leading = leading
        width = sum(len(inputs[name].features) for name in self.groups)
        self.missing = nn.ParameterDict()
        if leading:
            sizes = {name: len(inputs[name].features) for name in self.collections}
            self.missing = nn.ParameterDict({name: nn.Parameter(torch.zeros(size)) for name, size in sizes.items()})
            width += leading * sum(sizes.values())
        self.hidden = mlp([width, *hidden], activation, dropout)
        self.row_width = hidden[-1] if hidden else width
        self.output = mlp([self.row_width, outputs], last=False)

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        return self.embed(inputs).outputs  # (N, K)

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        """Return outputs, rows, and, with ``leading``, constituents."""
        looked: dict[str, Ragged] = {name: inputs[name] for name in self.missing}  # type: ignore[misc]
        flat = [inputs[name] for name in self.groups]
        flat += [self._leading(entry, self.missing[name]) for name, entry in looked.items()]
        row = self.hidden(torch.cat(flat, dim=1))  # type: ignore[arg-type]
        constituents = {
            name: torch.cat([entry.values.to(row.dtype), row.index_select(0, entry.rows)], dim=1)
            for name, entry in looked.items()
        }
        return Embedding(self.output(row), row, constituents)

    def width_of(self, collection: str) -> int:
        return len(self.missing[collection]) + self.row_width if collection in self.missing else 0

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        for name, missing in self.missing.items():
            entry = inputs[name]
            assert isinstance(entry, Padded)
            first = entry.exactly(self.leading)
            flat.append(torch.where(first.mask[..., None], first.values, missing).flatten(1))
        row = self.hidden(torch.cat(flat, dim=1))
        constituents = {}
        for name in self.missing:
            entry = inputs[name]
            assert isinstance(entry, Padded)
            constituents[name] = torch.cat([entry.values, row[:, None].expand(-1, entry.data.shape[1], -1)], dim=2)
        return Embedding(self.output(row), row, constituents)

    def _leading(self, entry: Ragged, missing: Tensor) -> Tensor:
        """Return the concatenated features of the first constituents (N, leading x F)."""
        places, offsets = torch.arange(self.leading), on_host(entry.offsets)
        there = places < offsets.diff()[:, None]  # (N, leading)
        slots = there.view(-1).nonzero().squeeze(1)
        device, leading = entry.data.device, (offsets[:-1, None] + places)[there]
        blocks = missing.to(entry.values).expand(len(entry) * self.leading, -1)
        taken = entry.values.index_select(0, send(leading, device))
        return blocks.index_copy(0, send(slots, device), taken).view(len(entry), self.leading * len(missing))
