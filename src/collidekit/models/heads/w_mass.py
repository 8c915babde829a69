"""Mass of the W boson from an estimated neutrino and its lepton."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from collidekit.analysis.targets import constituent
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.transfer import on_host, send
from collidekit.reconstruction.masses import Masses

W_MASS = float(Masses().w)
"""Mass of the W boson in GeV."""
LEAST_MASS = 0.1
"""Lower limit of masses (GeV) of lepton and neutrino, because the root has no derivative at 0."""


def deviations(neutrinos: Tensor, leptons: Tensor) -> Tensor:
    """Return the mean (...) over neutrinos px, py, pz (..., M, 3), in GeV, of ((m - 80.379) / 80.379)^2.

    m is the mass of each with its lepton px, py, pz, E (..., M, 4); a lepton that is NaN is not counted.
    """
    there = (leptons == leptons).all(dim=-1)  # noqa: PLR0124 (no NaN; a graph can hold it)
    given = torch.where(there[..., None], leptons, 1.0)
    energy = neutrinos.square().sum(dim=-1).clamp(min=torch.finfo(neutrinos.dtype).tiny).sqrt()
    own = given[..., 3].square() - given[..., :3].square().sum(dim=-1)
    squared = own.clamp(min=0) + 2 * (energy * given[..., 3] - (neutrinos * given[..., :3]).sum(dim=-1))
    mass = squared.clamp(min=LEAST_MASS**2).sqrt()
    terms = (mass / W_MASS - 1).square() * there
    return terms.sum(dim=-1) / there.sum(dim=-1).clamp(min=1)


def lepton_momenta(batch: Batch, leptons: Sequence[str]) -> Tensor:
    """Return px, py, pz, E (N, M, 4) of constituents such as ``leptons[0]``, NaN if a row has none."""
    return torch.stack([_momentum(batch, *constituent(text)) for text in leptons], dim=1)


def padded_momenta(inputs: Mapping[str, Any], leptons: Sequence[str]) -> Tensor:
    """Return the same for padded collections, with operations that can be exported."""
    found = []
    for collection, place in map(constituent, leptons):
        whole = inputs[collection].longer(place + 1)
        nan = torch.full_like(whole.momenta[:, place], torch.nan)
        found.append(torch.where(whole.mask[:, place, None], whole.momenta[:, place], nan))
    return torch.stack(found, dim=1)


def _momentum(batch: Batch, collection: str, place: int) -> Tensor:
    entry = batch.inputs[collection]
    assert isinstance(entry, Ragged)
    offsets, device = on_host(entry.offsets), entry.data.device
    there = (offsets.diff() > place).nonzero().squeeze(1)
    found = entry.momenta.new_full((len(entry), 4), torch.nan)
    own = entry.momenta.index_select(0, send(offsets[:-1][there] + place, device))
    return found.index_copy(0, send(there, device), own)
