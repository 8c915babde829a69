"""DeepJet: dense layers on each candidate, then a recurrent layer over the candidates (Bols et al., arXiv 2008.10519)."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from collidekit.dataset.batch import Input, Ragged
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.constituent_layers import BatchNorm, ConstituentLinear
from collidekit.models.named_modules import NamedModules
from collidekit.models.network import Embedding, Inputs, Network
from collidekit.models.packing import pack
from collidekit.models.padded import Padded, PaddedInput

CANDIDATES = (64, 32, 32, 8)
SIZES = {"neutral": (32, 16, 4)}
"""Layer sizes of collections with these names; all others have the sizes of charged candidates."""
RECURRENT = {"neutral": 50, "vertices": 50}
"""Units of the recurrent layer of collections with these names; all others have 150."""
EPS = 1e-3
SHUT = -1e3
"""Input that closes a gate of an LSTM: its sigmoid is 0 in any precision."""


class DeepJet(Network):
    """DeepJet (arXiv 2008.10519): a branch for each collection, then dense layers on all branches and the flat groups.

    The default sizes are those of the reference code of the paper: charged 64, 32, 32, 8 and an LSTM of 150, neutral 32,
    16, 4 and vertices 64, 32, 32, 8 with LSTMs of 50, dense 200 and seven times 100, each with batch normalisation and
    dropout. The order of the constituents matters.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        branches: Mapping[str, Sequence[int]] | None = None,
        recurrent: Mapping[str, int] | None = None,
        dense: Sequence[int] = (200, 100, 100, 100, 100, 100, 100, 100),
        dropout: float = 0.1,
        momentum: float = 0.4,
        flat: bool = True,
    ) -> None:
        super().__init__(inputs, outputs)
        if not self.collections:
            raise CollidekitError("the analysis has no collection of constituents; take mlp")
        for option, given in (("branches", branches), ("recurrent", recurrent)):
            self._check_names(option, given or {})
        sizes = {name: SIZES.get(name, CANDIDATES) for name in self.collections} | dict(branches or {})
        units = {name: RECURRENT.get(name, 150) for name in self.collections} | dict(recurrent or {})
        self.branches = NamedModules(
            {
                name: Branch([len(inputs[name].features), *sizes[name]], units[name], dropout, momentum)
                for name in self.collections
            }
        )
        if not flat:
            self.groups = []
        features = sum(len(inputs[name].features) for name in self.groups)
        self.flat_norm = BatchNorm(features, EPS, momentum) if features else None
        widths = [sum(units.values()) + features, *dense]
        self.dense = nn.Sequential(
            *(step for pair in pairwise(widths) for step in dense_layer(*pair, dropout, momentum))
        )
        self.output = nn.Linear(widths[-1], outputs)
        self.row_width = widths[-1]
        self.embedded_widths = {name: sizes[name][-1] for name in self.collections}
        lecun_uniform(self)

    def width_of(self, collection: str) -> int:
        return self.embedded_widths.get(collection, 0)

    def _check_names(self, option: str, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.collections:
                hint, known = did_you_mean(name, self.collections), ", ".join(self.collections)
                raise CollidekitError(f"{option}: there is no collection {name!r}{hint}; the analysis has {known}")

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        return self.embed(inputs).outputs  # (N, K)

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        """Return outputs, rows, and the outputs of the dense layers of each branch for each constituent."""
        embedded: dict[str, Tensor] = {}
        read: list[Tensor] = []
        if self.flat_norm is not None:
            read.append(self.flat_norm(torch.cat([inputs[name] for name in self.groups], dim=1)))  # type: ignore[misc]
        for name in self.collections:
            constituents = inputs[name]
            assert isinstance(constituents, Ragged)
            state, embedded[name] = self.branches[name](constituents.values, constituents.offsets)
            read.append(state)  # (N, H)
        with torch.autocast(read[0].device.type, enabled=False):  # few rows: full precision costs nothing here
            together = torch.cat(read, dim=1).to(self.output.weight.dtype)
            row = self.dense(together)
            return Embedding(self.output(row), row, embedded)

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        embedded: dict[str, Tensor] = {}
        read: list[Tensor] = []
        if self.flat_norm is not None:
            read.append(self.flat_norm(torch.cat([inputs[name] for name in self.groups], dim=1)))  # type: ignore[misc]
        for name in self.collections:
            state, embedded[name] = self.branches[name].padded(inputs[name])  # type: ignore[operator]
            read.append(state)  # (N, H)
        row = self.dense(torch.cat(read, dim=1))
        return Embedding(self.output(row), row, embedded)


class DeepJetHLT(DeepJet):
    """DeepJet in the size that b-hive trains for the high-level trigger: one more dense layer, and no flat groups.

    With b-hive's 23 features of charged candidates, 11 of vertices and 6 classes it has 251,690
    parameters; the published 251,722 include 32 of batch normalisations that b-hive creates and never uses.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        branches: Mapping[str, Sequence[int]] | None = None,
        recurrent: Mapping[str, int] | None = None,
        dense: Sequence[int] = (200, 100, 100, 100, 100, 100, 100, 100, 100),
        dropout: float = 0.1,
        momentum: float = 0.4,
        flat: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, branches, recurrent, dense, dropout, momentum, flat)


class Branch(nn.Module):
    """Branch: candidates of a collection (T, F) -> last state of the recurrent layer for each row (N, H), and (T, C)."""

    def __init__(self, widths: Sequence[int], units: int, dropout: float, momentum: float) -> None:
        super().__init__()
        *layers, last = pairwise(widths)
        steps = [step for pair in layers for step in dense_layer(*pair, dropout, momentum)]
        first = BatchNorm(widths[0], EPS, momentum)
        self.layers = nn.Sequential(first, *steps, ConstituentLinear(*last), nn.ReLU())
        self.recurrent = nn.LSTM(widths[-1], units, batch_first=True)
        self.norm = BatchNorm(units, EPS, momentum)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        candidates = self.layers(values)  # (T, C)
        states = last_states(self.recurrent, candidates, offsets)
        return self.dropout(self.norm(states)), candidates

    def padded(self, entry: Padded) -> tuple[Tensor, Tensor]:
        """Return the same for a block: (N, H) and (N, L, C)."""
        candidates = self.layers(entry.values)
        return self.norm(padded_last_states(self.recurrent, candidates, entry)), candidates


def last_states(recurrent: nn.LSTM, values: Tensor, offsets: Tensor) -> Tensor:
    """Return the state (N, H) of the LSTM after each row of ragged values (T, F), read from the last constituent to the first.

    As in the paper, the leading constituent is read last. The state of an empty row is 0.
    """
    packing = pack(offsets)
    ends = torch.repeat_interleave(offsets[:-1] + offsets[1:] - 1, offsets.diff(), output_size=len(values))
    mirrored = ends - torch.arange(
        len(values), device=offsets.device
    )  # reversed position of each constituent in its row (T,)
    backwards = values.index_select(0, mirrored[packing.constituents])  # (T, F)
    states = [backwards.new_zeros(0, recurrent.hidden_size, dtype=next(recurrent.parameters()).dtype)]
    with torch.autocast(values.device.type, enabled=False):  # a sum over many steps needs full precision
        for block in packing.blocks:
            dense = _few_shapes(block.fill(backwards).to(states[0].dtype))  # (n, L, F)
            output, _ = recurrent(dense)  # (n, L, H)
            last = block.mask.sum(dim=1) - 1
            states.append(output[torch.arange(len(last), device=last.device), last])  # (n, H)
    return packing.restore(torch.cat(states))


def padded_last_states(recurrent: nn.LSTM, values: Tensor, entry: Padded) -> Tensor:
    """Return the output of ``last_states`` (N, H) for a block (N, L, F): it is read from its last slot, so that padding comes first.

    A flag of padding in the inputs closes the input, forget and output gates, which keeps the state at 0 until
    the last constituent of the row. One row of padding is added: the LSTM of onnxruntime aborts the process for a batch
    without rows.
    """
    weights, of_state, *biases = recurrent.parameters()
    size = recurrent.hidden_size
    gates = weights.new_tensor([SHUT, SHUT, 0.0, SHUT])  # order of torch: input, forget, cell, output
    of_padding = gates[:, None].expand(-1, size).reshape(-1, 1)
    steps = torch.cat([values * entry.there, 1 - entry.there], dim=2).flip(1)
    steps = nn.functional.pad(steps, (0, 0, 0, 0, 0, 1))
    nothing = steps.new_zeros(1, steps.shape[0], size)
    parameters = [torch.cat([weights, of_padding], dim=1), of_state, *biases]
    _, state, _ = torch.lstm(steps, (nothing, nothing), parameters, True, 1, 0.0, False, False, True)
    return state[0, :-1]


def _few_shapes(dense: Tensor) -> Tensor:
    """Return a block (n, L, F) padded with zeros to a few shapes: oneDNN compiles and keeps a kernel for each shape."""
    rows, steps, _ = dense.shape
    return nn.functional.pad(dense, (0, 0, 0, -steps % 4, 0, -rows % 16 if rows > 16 else 0))


def dense_layer(width: int, following: int, dropout: float, momentum: float) -> list[nn.Module]:
    """Return a dense layer, ReLU, batch normalisation and dropout, in the order of the reference code."""
    linear = ConstituentLinear(width, following)
    return [linear, nn.ReLU(), BatchNorm(following, EPS, momentum), nn.Dropout(dropout)]


@torch.no_grad()
def lecun_uniform(network: nn.Module) -> None:
    """Initialise weights as in the reference code: dense layers uniform with variance 1 / inputs, LSTMs as in Keras."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LSTM):
            weights, recurrent, biases, more_biases = module.parameters()
            nn.init.xavier_uniform_(weights)
            nn.init.orthogonal_(recurrent)
            nn.init.zeros_(more_biases)
            nn.init.zeros_(biases)
            biases[module.hidden_size : 2 * module.hidden_size] = 1.0  # the forget gate is open
