"""Particle-flow network, a deep set of constituents (Komiske, Metodiev, Thaler, arXiv 1810.05165, eq. 2.5)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from collidekit.dataset.batch import Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.models.layers import mlp, segment_sum, whole_blocks
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Embedding, Inputs, Network
from collidekit.models.padded import Padded, PaddedInput


class PFN(Network):
    """Deep set F(sum_i Phi(x_i)): Phi acts on each constituent, F on the sums of each collection and the flat groups.

    The default sizes are those of the paper: Phi 100, 100, 256 and F 100, 100, 100. The sum is divided by ``norm``
    (a number, not the count), which only changes the scale of the input of F.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        phi: Sequence[int] = (100, 100, 256),
        f: Sequence[int] = (100, 100, 100),
        activation: str = "relu",
        dropout: float = 0.0,
        norm: float = 10.0,
    ) -> None:
        super().__init__(inputs, outputs)
        if not self.collections:
            raise CollidekitError("the analysis has no collection of constituents; take mlp")
        self.norm = norm
        self.phi = NamedModules(
            {name: mlp([len(inputs[name].features), *phi], activation) for name in self.collections}
        )
        flat = sum(len(inputs[name].features) for name in self.groups)
        self.f = mlp([phi[-1] * len(self.collections) + flat, *f], activation, dropout)
        self.output = mlp([f[-1], outputs], last=False)
        self.constituent_width, self.row_width = phi[-1], f[-1]

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        return self.embed(inputs).outputs  # (N, K)

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        latent: list[Tensor] = []
        embedded: dict[str, Tensor] = {}
        for name in self.collections:
            constituents = inputs[name]
            assert isinstance(constituents, Ragged)
            values, offsets = whole_blocks(constituents.values, constituents.offsets)
            per_constituent = self.phi[name](values)  # (T, phi[-1])
            latent.append(segment_sum(per_constituent, offsets)[: len(constituents)] / self.norm)  # (N, phi[-1])
            embedded[name] = per_constituent[: len(constituents.values)]
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        with torch.autocast(latent[0].device.type, enabled=False):  # few rows: full precision costs nothing here
            together = torch.cat([*latent, *flat], dim=1).to(next(self.f.parameters()).dtype)
            row = self.f(together)
            return Embedding(self.output(row), row, embedded)

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        latent: list[Tensor] = []
        embedded: dict[str, Tensor] = {}
        for name in self.collections:
            entry = inputs[name]
            assert isinstance(entry, Padded)
            embedded[name] = self.phi[name](entry.values)  # (N, L, phi[-1])
            latent.append((embedded[name] * entry.there).sum(dim=1) / self.norm)
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        row = self.f(torch.cat([*latent, *flat], dim=1))
        return Embedding(self.output(row), row, embedded)
