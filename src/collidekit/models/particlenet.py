"""ParticleNet, a graph network of nearest neighbours (Qu, Gouskos, arXiv 1902.08570)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from collidekit.analysis.schema import Collection
from collidekit.dataset.batch import Input, Ragged
from collidekit.dataset.transfer import on_host, send
from collidekit.errors import CollidekitError
from collidekit.models.constituent_layers import BatchNorm, ConstituentLinear
from collidekit.models.edge_conv import EdgeConv
from collidekit.models.layers import mlp, segment_sum
from collidekit.models.named_modules import NamedModules
from collidekit.models.neighbours import Cloud, PaddedNeighbours
from collidekit.models.network import Embedding, Inputs, Network
from collidekit.models.padded import Padded, PaddedInput, apart, masked_mean, side_by_side


class ParticleNet(Network):
    """Blocks of EdgeConv, the mean over the constituents, dense layers; arXiv 1902.08570, section 3.2 and figure 2.

    The first block searches neighbours in the coordinates, each later one in the outputs of the block before. The default
    sizes are those of the paper: k = 16, three blocks of three layers of 64, 128 and 256, dense 256 with dropout 0.1. As
    in the code of the authors, the features pass a batch normalisation first. With 7 features and 2 classes it has 366,160
    parameters.

    Several collections form one cloud: each passes a batch normalisation and a dense layer to ``embedding`` numbers first.
    Flat groups are concatenated to the mean.
    """

    picks = True

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        k: int = 16,
        widths: Sequence[int] = (64, 128, 256),
        layers: int = 3,
        dense: Sequence[int] = (256,),
        dropout: float = 0.1,
        fusion: bool = False,
        embedding: int = 32,
    ) -> None:
        super().__init__(inputs, outputs)
        self._check(inputs, k, widths, layers)
        self.k = k
        sizes = {name: len(inputs[name].features) for name in self.collections}
        width = embedding if len(sizes) > 1 else next(iter(sizes.values()))
        self.embeddings = NamedModules()
        if len(sizes) > 1:
            self.embeddings.update({name: _embedding(size, width) for name, size in sizes.items()})
        self.norm = BatchNorm(width)
        ends = [width, *widths]
        self.blocks = nn.ModuleList([EdgeConv(a, b, layers) for a, b in zip(ends, widths, strict=False)])
        self.fusion = _fusion(sum(widths)) if fusion else None
        self.constituent_width = _fused(sum(widths)) if fusion else widths[-1]
        flat = sum(len(inputs[name].features) for name in self.groups)
        self.dense = mlp([self.constituent_width + flat, *dense], dropout=dropout)
        self.row_width = dense[-1] if dense else self.constituent_width + flat
        self.output = nn.Linear(self.row_width, outputs)

    def _check(self, inputs: Inputs, k: int, widths: Sequence[int], layers: int) -> None:
        if not self.collections:
            raise CollidekitError("the analysis has no collection of constituents; take mlp")
        for name in self.collections:
            entry = inputs[name]
            assert isinstance(entry, Collection)
            if not entry.coordinates:
                raise CollidekitError(
                    f"inputs.{name} has no coordinates, in which the neighbours are looked for; add two angles, such as "
                    "'coordinates: [part_deta, part_dphi]', to it in the analysis file"
                )
        if k < 1 or layers < 2 or not widths:
            raise CollidekitError(
                f"needs k of at least 1, two layers or more, and one of widths or more, got k {k}, layers {layers}, "
                f"widths {list(widths)}"
            )

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        return self._see(inputs)[0]

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        outputs, row, cloud, order = self._see(inputs)
        restored = torch.empty_like(cloud).index_copy(0, order, cloud)
        sizes = [len(constituents.values) for constituents in self._ragged(inputs)]
        parts = restored.split(sizes)  # type: ignore[no-untyped-call]
        return Embedding(outputs, row, dict(zip(self.collections, parts, strict=True)))

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        entries: dict[str, Padded] = {name: inputs[name] for name in self.collections}  # type: ignore[misc]
        collections, embed = list(entries.values()), self.embeddings
        own = [embed[name](entry.values) if embed else entry.values for name, entry in entries.items()]
        values, mask = side_by_side(collections, own)
        values, points = self.norm(values), torch.cat([entry.coordinates for entry in collections], dim=1)
        levels = []
        for block in self.blocks:
            values = block.padded(values, PaddedNeighbours.nearest(points, mask, self.k))  # type: ignore[operator]
            points = values
            levels.append(values)
        if self.fusion is not None:
            values = self.fusion(torch.cat(levels, dim=2))
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        row = self.dense(torch.cat([masked_mean(values, mask), *flat], dim=1))
        return Embedding(self.output(row), row, apart(values, entries))

    def _ragged(self, inputs: dict[str, Input]) -> list[Ragged]:
        return [entry for name in self.collections if isinstance(entry := inputs[name], Ragged)]

    def _see(self, inputs: dict[str, Input]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return outputs (N, K), rows (N, D), constituents (T, C), and the index of each constituent in the batch."""
        collections = self._ragged(inputs)
        order, offsets = _join(collections)
        cloud = Cloud.of(offsets, self.k)
        order = order[cloud.packing.constituents]
        values = self._values(collections)[order]
        points = torch.cat([constituents.coordinates for constituents in collections])[order]
        levels = []
        for block in self.blocks:
            values = block(values, cloud.nearest(points))  # (T, C)
            points = values.detach()
            levels.append(values)
        if self.fusion is not None:
            with torch.autocast(values.device.type, enabled=False):
                values = self.fusion(torch.cat(levels, dim=1))
        flat: list[Tensor] = [inputs[name] for name in self.groups]  # type: ignore[misc]
        with torch.autocast(values.device.type, enabled=False):  # few rows: full precision costs nothing here
            together = torch.cat([_means(values, cloud), *flat], dim=1).to(self.output.weight.dtype)
            row = self.dense(together)
            return self.output(row), row, values, order

    def _values(self, collections: Sequence[Ragged]) -> Tensor:
        """Return the features of all constituents (T, F), one collection after another."""
        with torch.autocast(collections[0].data.device.type, enabled=False):
            if not self.embeddings:
                return self.norm(collections[0].values)  # type: ignore[no-any-return]
            each = zip(self.embeddings.values(), collections, strict=True)
            return self.norm(torch.cat([part(constituents.values) for part, constituents in each]))  # type: ignore[no-any-return]


class ParticleNetLite(ParticleNet):
    """ParticleNet-Lite, the small variant of the paper, section 3.2: k = 7, two blocks of three layers of 32 and 64, dense 128.

    With 7 features and 2 classes it has 26,416 parameters.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        k: int = 7,
        widths: Sequence[int] = (32, 64),
        layers: int = 3,
        dense: Sequence[int] = (128,),
        dropout: float = 0.1,
        fusion: bool = False,
        embedding: int = 32,
    ) -> None:
        super().__init__(inputs, outputs, k, widths, layers, dense, dropout, fusion, embedding)


def _embedding(features: int, width: int) -> nn.Module:
    """Return the layers that embed a collection into the cloud."""
    linear = ConstituentLinear(features, width, bias=False)
    return nn.Sequential(BatchNorm(features), linear, BatchNorm(width), nn.ReLU())


def _fused(width: int) -> int:
    """Return the largest multiple of 128 up to the width, limited to 128 to 1024."""
    return min(max(width // 128 * 128, 128), 1024)


def _fusion(width: int) -> nn.Module:
    return nn.Sequential(ConstituentLinear(width, _fused(width), bias=False), BatchNorm(_fused(width)), nn.ReLU())


def _join(collections: Sequence[Ragged]) -> tuple[Tensor, Tensor]:
    """Return the order (T,) that sorts constituents of all collections by row, and the offsets of the rows (N + 1,)."""
    device = collections[0].data.device
    known = torch.stack([on_host(constituents.offsets) for constituents in collections]).sum(0)
    offsets = send(known, device, keep=True)
    if len(collections) == 1:
        return torch.arange(len(collections[0].data), device=device), offsets
    rows = torch.cat([constituents.rows for constituents in collections])
    return rows.argsort(stable=True), offsets


def _means(values: Tensor, cloud: Cloud) -> Tensor:
    """Return the means over the constituents of each row (N, C), 0 for an empty row."""
    return cloud.packing.restore(segment_sum(values, cloud.offsets) / cloud.offsets.diff()[:, None])
