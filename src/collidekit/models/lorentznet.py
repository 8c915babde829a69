"""LorentzNet, a graph network that is equivariant under the Lorentz group (Gong et al., arXiv 2201.08187).

Constituents are four-momenta x and scalars h. The network uses Minkowski products only, so a boost or rotation of a jet does
not change its score. With the two beams as further constituents, as in the top tagging of the paper, the score is invariant
only under rotations about the beam.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from collidekit.analysis.schema import Collection
from collidekit.dataset.batch import Input, Ragged
from collidekit.dataset.transfer import constant, send
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.constituent_layers import BatchNorm, scale_and_shift
from collidekit.models.layers import segment_sum
from collidekit.models.network import Embedding, Inputs, Network
from collidekit.models.packing import Block
from collidekit.models.padded import Padded, PaddedInput, apart, masked_mean, side_by_side
from collidekit.models.pair_norm import mean_and_variance, pair_sums
from collidekit.models.sets import Sets, leading, spread_leading
from collidekit.ranks.group import current

CHUNK = 2**18
"""Numbers of messages that are computed at a time on a CPU: 1 MiB in single precision, which fits into the cache."""
KEPT = 2**25
"""Largest amount of numbers of messages that is kept for the backward pass; larger amounts are computed again."""


class LorentzNet(Network):
    """Layers of Minkowski dot-product attention (eqs. 3.1 to 3.4), then the mean of the scalars of a row.

    The default sizes are those of the paper: 6 layers of 72, 224,072 parameters. ``scalars`` are names of features that do not
    change under a boost, such as a charge or the type of a particle; the mass is always a scalar. Momenta are in units of
    ``unit`` GeV, and ``step`` is c in the paper. Only collections with momenta are used, and no flat groups, which
    are seldom invariant. ``first`` is the number of constituents of each collection that are used; 0: all.
    """

    lorentz_invariant = True
    """True without beams; with beams the score is invariant only under rotations about the beam."""

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        width: int = 72,
        layers: int = 6,
        dropout: float = 0.2,
        step: float = 0.001,
        beams: bool = True,
        scalars: Sequence[str] = (),
        first: int = 0,
        unit: float = 20.0,
    ) -> None:
        super().__init__(inputs, outputs)
        self.used = {name: entry for name, entry in inputs.items() if isinstance(entry, Collection) and entry.momenta}
        if not self.used:
            raise CollidekitError("no collection of the analysis has momenta; give them in the analysis file")
        self.columns = {name: _columns(entry, scalars) for name, entry in self.used.items()}
        known = [feature.name for entry in self.used.values() for feature in entry.features]
        for name in scalars:
            if name not in known:
                raise CollidekitError(f"scalars: there is no feature {name!r}{did_you_mean(name, known)}")
        self.first, self.unit, self.beams = first, unit, beams
        self.lorentz_invariant = not beams
        given = 1 + beams + len(scalars)
        self.embedding = nn.Linear(given, width)
        self.layers = nn.ModuleList(Layer(width, given, step, last=i == layers - 1) for i in range(layers))
        self.graph = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))
        self.output = nn.Linear(width, outputs)
        self.constituent_width = self.row_width = width

    def width_of(self, collection: str) -> int:
        return self.constituent_width if collection in self.used else 0

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        return self.output(self._compute(inputs)[0])  # type: ignore[no-any-return]  # (N, K)

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        """Return outputs, rows and the scalars of constituents; 0 for those beyond the ``first`` ones, which are not used."""
        row, h, sets = self._compute(inputs)
        embedded = {}
        for name in self.used:
            entry = inputs[name]
            assert isinstance(entry, Ragged)
            own = h.index_select(0, sets.places[name])
            embedded[name] = spread_leading(own, entry, self.first) if self.first else own
        return Embedding(self.output(row), row, embedded)

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        entries: dict[str, Padded] = {name: inputs[name] for name in self.used}  # type: ignore[misc]
        used = {name: entry.leading(self.first) if self.first else entry for name, entry in entries.items()}
        members = [self._describe(entry, self.columns[name]) for name, entry in used.items()]
        data, mask = side_by_side(list(used.values()), members)
        if self.beams:
            beams = self._beam_vectors(data).expand(data.shape[0], -1, -1)
            data = torch.cat([data, beams], dim=1)
            mask = torch.cat([mask, beams[..., 3] > 0], dim=1)
        x, scalars = data[..., :4].double(), data[..., 4:]
        h = self.embedding(scalars)
        for layer in self.layers:
            h, x = layer.padded(h, x, scalars, mask)  # type: ignore[operator]
        row = self.graph(masked_mean(h, mask))
        embedded = apart(h * mask[..., None].to(h.dtype), used)
        if self.first:
            embedded = {name: _with_zeros(own, entries[name], self.first) for name, own in embedded.items()}
        return Embedding(self.output(row), row, embedded)

    def _compute(self, inputs: dict[str, Input]) -> tuple[Tensor, Tensor, Sets]:
        """Return the rows (N, width), the scalars (T, width) of all members, and their order."""
        members = {name: self._member(inputs[name], self.columns[name]) for name in self.used}
        if self.beams:
            members[""] = self._beams(next(iter(members.values())))  # no collection has this name
        sets = Sets.of({name: entry.offsets for name, entry in members.items()})
        data = torch.cat([entry.data for entry in members.values()]).index_select(0, sets.order)
        x, scalars = data[:, :4].double(), data[:, 4:]
        h = self.embedding(scalars)
        for layer in self.layers:
            h, x = layer(h, x, scalars, sets)
        counts = sets.offsets.diff()[:, None].clamp(min=1)
        mean = segment_sum(h, sets.offsets) / counts  # (N, width)
        row = torch.zeros_like(mean).index_copy(0, sets.packing.rows, mean)
        return self.graph(row.to(self.output.weight.dtype)), h, sets

    def _member(self, entry: Input, columns: list[int]) -> Ragged:
        """Return px, py, pz, E and the scalars of each constituent (T, 4 + S)."""
        assert isinstance(entry, Ragged)
        entry = leading(entry, self.first) if self.first else entry
        return Ragged(self._describe(entry, columns), entry.offsets, 0)

    def _describe(self, entry: Ragged | Padded, columns: list[int]) -> Tensor:
        """Return px, py, pz, E and the scalars of each constituent (T, 4 + S), or (N, L, 4 + S) for a block."""
        momenta = entry.momenta / self.unit
        mass = minkowski(momenta.double()).clamp(min=0).sqrt()[..., None]
        flags = [torch.zeros_like(momenta[..., :1])] * self.beams
        padded = F.pad(entry.values, (0, 1))  # features that the collection does not have are 0
        named = [padded[..., column : column + 1] for column in columns]
        return torch.cat([momenta, psi(mass).to(momenta), *flags, *named], dim=-1)

    def _beams(self, like: Ragged) -> Ragged:
        """Return two vectors of unit mass along the beam for each row."""
        rows, beams = len(like), self._beam_vectors(like.data)
        return Ragged(beams.repeat(rows, 1), send(torch.arange(rows + 1) * 2, beams.device, keep=True), 0)

    def _beam_vectors(self, like: Tensor) -> Tensor:
        """Return both beams (2, 4 + S) in the form of ``_describe``."""
        one, other = ((0.0, 0.0, z, 2**0.5, math.log(2), 1.0) for z in (1.0, -1.0))  # psi(1) = log 2
        return F.pad(constant((*one, *other), like).view(2, 6), (0, self.embedding.in_features - 2))


class LorentzNetSmall(LorentzNet):
    """LorentzNet with sizes for a laptop: 3 layers of 24 on the 40 leading constituents."""

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        width: int = 24,
        layers: int = 3,
        dropout: float = 0.0,
        step: float = 0.001,
        beams: bool = True,
        scalars: Sequence[str] = (),
        first: int = 40,
        unit: float = 20.0,
    ) -> None:
        super().__init__(inputs, outputs, width, layers, dropout, step, beams, scalars, first, unit)


def _with_zeros(values: Tensor, entry: Padded, number: int) -> Tensor:
    """Return values (N, L', F) of the first ``number`` slots, padded with zeros to (N, L, F)."""
    missing = torch.zeros_like(entry.data[:, number:, :1]).expand(-1, -1, values.shape[2])
    return torch.cat([values, missing], dim=1)


def _columns(entry: Collection, scalars: Sequence[str]) -> list[int]:
    names = [feature.name for feature in entry.features]
    return [names.index(name) if name in names else len(names) for name in scalars]


def minkowski(x: Tensor, y: Tensor | None = None) -> Tensor:
    """Return E E' - p p' of four-vectors (..., 4), with the energy last."""
    product = x * (x if y is None else y)
    return product[..., 3] - product[..., :3].sum(dim=-1)


def psi(values: Tensor) -> Tensor:
    """Return sign(z) log(|z| + 1), the normalisation of large products in the paper."""
    return values.sign() * values.abs().log1p()


class Layer(nn.Module):
    """One Lorentz group equivariant block: messages m_ij from h_i, h_j and the products of x_i and x_j.

    The names of the layers are those of the paper. The first layer of phi_e is split into terms of i, j and the pair. Its batch
    normalisation computes the exact mean and variance over all pairs from sums over constituents.
    """

    def __init__(self, width: int, given: int, step: float, last: bool) -> None:
        super().__init__()
        self.step, self.last = step, last
        self.edge = nn.Linear(2 * width + 2, width, bias=False)
        self.edge_norm = BatchNorm(width)
        self.message = nn.Linear(width, width)
        self.phi_m = nn.Linear(width, 1)
        self.phi_h = nn.Sequential(
            nn.Linear(2 * width + given, width), BatchNorm(width), nn.ReLU(), nn.Linear(width, width)
        )
        if not last:
            final = nn.Linear(width, 1, bias=False)
            nn.init.xavier_uniform_(final.weight, gain=0.001)
            self.phi_x = nn.Sequential(nn.Linear(width, width), nn.ReLU(), final)

    def forward(self, h: Tensor, x: Tensor, scalars: Tensor, sets: Sets) -> tuple[Tensor, Tensor]:
        """Return scalars (T, width) and vectors (T, 4) of the next layer."""
        width = h.shape[1]
        of_i, of_j, of_pair = self.edge.weight.split([width, width, 2], dim=1)  # type: ignore[no-untyped-call]
        pairs = [_products(block.fill(x), block).to(h) for block in sets.packing.blocks]
        scale, shift = self._norm(h @ of_i.T, h @ of_j.T, pairs, of_pair, sets)
        a, b, c = h @ of_i.T * scale + shift, h @ of_j.T * scale, of_pair * scale[:, None]
        again = torch.is_grad_enabled() and width * sum(pair.numel() for pair in pairs) > KEPT
        sums, moves = [], []
        for block, pair in zip(sets.packing.blocks, pairs, strict=True):
            given = (block.fill(a), block.fill(b), pair, block.fill(x), block.mask)
            rows = max(CHUNK // (width * block.length**2), 1) if x.device.type == "cpu" else len(pair)
            parts = [
                checkpoint(self._messages, c, *some, use_reentrant=False) if again else self._messages(c, *some)
                for some in zip(*(torch.split(values, rows) for values in given), strict=True)
            ]
            total, move = (torch.cat(found) for found in zip(*parts, strict=True))
            sums.append(block.take(total))
            if not self.last:
                moves.append(block.take(move))
        if not sums:
            return h, x
        h = h + self.phi_h(torch.cat([h, torch.cat(sums).to(h), scalars], dim=1))
        return h, x if self.last else x + self.step * torch.cat(moves)

    def padded(self, h: Tensor, x: Tensor, scalars: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same for blocks (N, L, width) and (N, L, 4), in evaluation."""
        width = h.shape[2]
        of_i, of_j, of_pair = self.edge.weight.split([width, width, 2], dim=1)  # type: ignore[no-untyped-call]
        scale, shift = scale_and_shift(self.edge_norm)
        pair = _padded_products(x, _others(mask)).to(h.dtype)
        a, b, c = h @ of_i.T * scale + shift, h @ of_j.T * scale, of_pair * scale[:, None]
        total, move = self._messages(c, a, b, pair, x, mask)
        h = h + self.phi_h(torch.cat([h, total, scalars], dim=2))
        return h, x if self.last else x + self.step * move

    def _norm(self, a: Tensor, b: Tensor, pairs: list[Tensor], weight: Tensor, sets: Sets) -> tuple[Tensor, Tensor]:
        """Return the batch normalisation of the edges as a factor and a shift (width,)."""
        norm = self.edge_norm
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None
        if self.training:
            sums = pair_sums(pairs, sets.packing)
            if sums.number > 1:
                found, spread = mean_and_variance(a, b, weight, sums, sets.offsets)
                number, found, spread = current().moments(sums.number, found, spread)
                with torch.no_grad():
                    mean.lerp_(found.to(mean), 0.1)
                    variance.lerp_(spread.to(variance) * number / (number - 1), 0.1)
                mean, variance = found, spread
        scale = norm.weight * (variance + norm.eps).rsqrt().to(norm.weight)
        return scale, norm.bias - mean.to(scale) * scale

    def _messages(
        self, c: Tensor, a: Tensor, b: Tensor, pair: Tensor, x: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return sums of w_ij m_ij (n, L, width) and means of phi_x(m_ij) (x_i - x_j) (n, L, 4) over j."""
        m = F.relu(self.message(F.relu(a[:, :, None] + b[:, None] + pair @ c.T)))  # (n, L, L, width)
        other = _others(mask).to(m.dtype)  # (n, L, L, 1)
        weight = self.phi_m(m).sigmoid() * other
        total = (weight.transpose(2, 3) @ m)[:, :, 0]
        if self.last:
            return total, x  # the last layer does not change x
        factor = (self.phi_x(m) * other)[..., 0].to(x.dtype)  # (n, L, L)
        number = (mask.sum(dim=1) - 1).clamp(min=1)[:, None, None]
        return total, (factor.sum(dim=2, keepdim=True) * x - factor @ x) / number


def _others(mask: Tensor) -> Tensor:
    """Return which pairs (n, L, L, 1) are pairs of two different constituents."""
    places = torch.arange(mask.shape[1], device=mask.device)
    different = places[:, None] != places
    return (mask[:, :, None] & mask[:, None] & different)[..., None]


def _products(x: Tensor, block: Block) -> Tensor:
    """Return psi of |x_i - x_j|^2 and of <x_i, x_j> (n, L, L, 2); 0 if there is no pair."""
    inner = _flipped(x) @ x.transpose(1, 2)
    return _of_products(inner, inner.diagonal(dim1=1, dim2=2), _others(block.mask))


def _padded_products(x: Tensor, others: Tensor) -> Tensor:
    """Return ``_products`` for an exported graph: onnxruntime up to 1.20 has no transposed matrix product in double precision."""
    flipped = _flipped(x)
    return _of_products((flipped[:, :, None] * x[:, None]).sum(dim=3), (flipped * x).sum(dim=2), others)


def _flipped(x: Tensor) -> Tensor:
    """Return four-vectors with the sign of the metric on the momenta."""
    return x * constant((-1.0, -1.0, -1.0, 1.0), x)


def _of_products(inner: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """Return both features (n, L, L, 2) from <x_i, x_j> (n, L, L) and <x_i, x_i> (n, L), 0 if ``others`` (n, L, L, 1) is false."""
    norm = own[:, :, None] + own[:, None] - 2 * inner
    return psi(torch.stack([norm, inner], dim=3)) * others
