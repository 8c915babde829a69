"""Events of two collections and a flat group, without a file: as the networks take them, ragged and padded."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from collidekit.analysis.schema import Analysis, Collection
from collidekit.dataset.batch import Batch, Input, Ragged
from collidekit.models import Tagger, build_network
from collidekit.models.padded import Padded, PaddedInput

LIMIT = 24
ANALYSIS = f"""
source: {{tree: tree}}
classes:
  background: label == 0
  signal: label == 1
inputs:
  charged:
    limit: {LIMIT}
    momenta: [c_px, c_py, c_pz, c_e]
    coordinates: [c_deta, c_dphi]
    features: [c_deta, c_dphi, c_logpt, {{name: c_d0, default: -9}}]
  neutral:
    limit: {LIMIT}
    momenta: [n_px, n_py, n_pz, n_e]
    coordinates: [n_deta, n_dphi]
    features: [n_deta, n_dphi, n_logpt]
  jet:
    features: [jet_pt, jet_mass]
discriminators: {{SvsB: {{signal: signal, background: background}}}}
"""

COUNTS = {"charged": [0, 1, 0, 2, 7, 8, 16, 17, 24, 3], "neutral": [0, 0, 1, 1, 0, 8, 17, 0, 24, 4]}
"""Constituents of each row: none in either, in one, as many as a network looks for neighbours, one more, the limit."""

SMALL: dict[str, dict[str, object]] = {
    "deepjet": {"dense": [24, 16], "recurrent": {"charged": 20}},
    "deepjet_hlt": {"dense": [24, 16]},
    "lorentznet": {"width": 12, "layers": 2},
    "particlenet": {"widths": [16, 24], "dense": [16]},
    "pcnn": {"units": [16, 16, 24]},
    "transformer": {"width": 32, "layers": 2, "feed_forward": 32},
}
"""Sizes for networks that are large otherwise."""


def without(analysis: Analysis, name: str) -> Analysis:
    """The analysis without one of its inputs."""
    return analysis.model_copy(update={"inputs": {key: e for key, e in analysis.inputs.items() if key != name}})


def make_inputs(analysis: Analysis, counts: Mapping[str, Sequence[int]], seed: int = 1) -> dict[str, Input]:
    """Inputs of rows with these counts, in units that need no scaling; momenta are those of massive particles in GeV."""
    generator = torch.Generator().manual_seed(seed)
    rows = len(next(iter(counts.values())))
    found: dict[str, Input] = {}
    for name, entry in analysis.inputs.items():
        if not isinstance(entry, Collection):
            found[name] = torch.randn(rows, len(entry.features), generator=generator)
            continue
        total = sum(counts[name])
        angles = torch.randn(total, 2, generator=generator) * 0.3
        others = torch.randn(total, len(entry.features) - 2, generator=generator)
        pt = torch.rand(total, generator=generator) * 30 + 1
        momenta = [pt * angles[:, 1].cos(), pt * angles[:, 1].sin(), pt * angles[:, 0].sinh()]
        energy = ((pt * angles[:, 0].cosh()).square() + 0.14**2).sqrt()
        data = torch.cat([angles, others, torch.stack([*momenta, energy], dim=1), angles], dim=1)
        offsets = torch.tensor([0, *counts[name]]).cumsum(0)
        found[name] = Ragged(data, offsets, len(entry.features), has_momenta=True)
    return found


def make_batch(inputs: dict[str, Input], rows: int) -> Batch:
    """Rows with these inputs, of which nothing else is known."""
    numbers = torch.arange(rows)
    return Batch(
        inputs, torch.zeros_like(numbers), torch.ones(rows), {}, {}, numbers, numbers, torch.zeros(rows, 2), numbers
    )


def in_slots(entry: Ragged, slots: int, padding: float = 0.0) -> tuple[Tensor, Tensor]:
    """Data (N, L, C) and mask (N, L) with so many slots more than the longest row has; ``padding`` stands in empty ones."""
    data = entry.padded(entry.data)
    data = torch.cat([data, data.new_zeros(len(entry), slots, entry.data.shape[1])], dim=1)
    mask = torch.arange(data.shape[1]) < entry.counts[:, None]
    return torch.where(mask[..., None], data, padding), mask


def pad(inputs: Mapping[str, Input], slots: int) -> dict[str, PaddedInput]:
    """The padded form of inputs, with so many empty slots at the end of the longest row."""
    return {
        name: Padded(*in_slots(entry, slots), entry.num_features, entry.has_momenta)
        if isinstance(entry, Ragged)
        else entry
        for name, entry in inputs.items()
    }


def make_tagger(analysis: Analysis, name: str, options: Mapping[str, object]) -> Tagger:
    """A tagger in evaluation mode, whose batch normalisations are like those of a trained one."""
    torch.manual_seed(2)
    tagger = Tagger(analysis, build_network(name, analysis.inputs, 2, {**SMALL.get(name, {}), **options})).eval()
    for module in tagger.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, 0.1, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    return tagger
