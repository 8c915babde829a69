"""Energy-flow network, an infrared and collinear safe deep set (Komiske, Metodiev, Thaler, arXiv 1810.05165)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from collidekit.analysis.schema import Collection
from collidekit.dataset.batch import Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.models.layers import mlp, segment_sum, whole_blocks
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Embedding, Inputs, Network
from collidekit.models.padded import Padded, PaddedInput


class EFN(Network):
    """F(sum_i z_i Phi(p_i)), arXiv 1810.05165 eq. 2.4, with the fraction z_i of the jet pT and the two angles p_i.

    A soft constituent has no weight, and two collinear ones count like their sum, so the score is safe. The default
    sizes are those of the paper: Phi 100, 100, 256 and F 100, 100, 100. Collections without ``momenta`` or
    ``coordinates`` are not used. Flat groups are used only with ``flat``: a number of constituents is not safe.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        phi: Sequence[int] = (100, 100, 256),
        f: Sequence[int] = (100, 100, 100),
        activation: str = "relu",
        dropout: float = 0.0,
        flat: bool = False,
    ) -> None:
        super().__init__(inputs, outputs)
        self.used = [name for name in self.collections if _is_complete(inputs[name])]
        if not self.used:
            raise CollidekitError(
                "no collection of the analysis has both momenta and coordinates; give them in the analysis file, "
                "or take pfn, which needs neither"
            )
        if not flat:
            self.groups = []
        self.phi = NamedModules({name: mlp([2, *phi], activation) for name in self.used})
        width = phi[-1] * len(self.used) + sum(len(inputs[name].features) for name in self.groups)
        self.f = mlp([width, *f], activation, dropout)
        self.constituent_width, self.row_width = phi[-1], f[-1] if f else width
        self.output = mlp([self.row_width, outputs], last=False)

    def width_of(self, collection: str) -> int:
        return self.constituent_width if collection in self.used else 0

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        return self.embed(inputs).outputs  # (N, K)

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        latent: list[Tensor] = []
        embedded: dict[str, Tensor] = {}
        for name in self.used:
            constituents = inputs[name]
            assert isinstance(constituents, Ragged)
            angles, offsets = whole_blocks(constituents.coordinates, constituents.offsets)
            weights, _ = whole_blocks(pt_fractions(constituents), constituents.offsets)  # (T, 1)
            per_constituent = self.phi[name](angles)  # (T, phi[-1])
            latent.append(segment_sum(per_constituent * weights, offsets)[: len(constituents)])  # (N, phi[-1])
            embedded[name] = per_constituent[: len(constituents.coordinates)]
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        with torch.autocast(latent[0].device.type, enabled=False):  # few rows: full precision costs nothing here
            together = torch.cat([*latent, *flat], dim=1).to(next(self.f.parameters()).dtype)
            row = self.f(together)
            return Embedding(self.output(row), row, embedded)

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        latent: list[Tensor] = []
        embedded: dict[str, Tensor] = {}
        for name in self.used:
            entry = inputs[name]
            assert isinstance(entry, Padded)
            embedded[name] = self.phi[name](entry.coordinates)  # (N, L, phi[-1])
            latent.append((embedded[name] * padded_pt_fractions(entry)).sum(dim=1))
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        row = self.f(torch.cat([*latent, *flat], dim=1))
        return Embedding(self.output(row), row, embedded)


def pt_fractions(constituents: Ragged) -> Tensor:
    """Return z_i = pT_i / sum_j pT_j (T, 1) over the constituents of each row."""
    momenta = constituents.momenta
    pt = torch.hypot(momenta[:, :1], momenta[:, 1:2])
    totals = segment_sum(pt, constituents.offsets)  # (N, 1)
    return pt / totals.clamp(min=torch.finfo(totals.dtype).tiny).index_select(0, constituents.rows)


def padded_pt_fractions(entry: Padded) -> Tensor:
    """Return the z_i of ``pt_fractions`` (N, L, 1), 0 in empty slots; squares of large momenta need double precision."""
    pt = entry.momenta[..., :2].double().square().sum(dim=2, keepdim=True).sqrt().to(entry.data.dtype) * entry.there
    return pt / pt.sum(dim=1, keepdim=True).clamp(min=torch.finfo(pt.dtype).tiny)


def _is_complete(entry: object) -> bool:
    return isinstance(entry, Collection) and bool(entry.momenta) and bool(entry.coordinates)
