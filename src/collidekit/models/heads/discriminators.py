"""Discriminators of probabilities, in torch, as ``Predictions.discriminator`` computes them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from collidekit.analysis.schema import Discriminator


def discriminators(columns: Mapping[str, Tensor], definitions: Mapping[str, Discriminator]) -> dict[str, Tensor]:
    """Return sum p(signal) / (sum p(signal) + sum p(background)) (N,) of each; 0 where both sums vanish."""
    found = {}
    for name, definition in definitions.items():
        signal = torch.stack([columns[f"prob_{one}"] for one in definition.signal]).sum(dim=0)
        total = signal + torch.stack([columns[f"prob_{one}"] for one in definition.background]).sum(dim=0)
        found[name] = torch.where(total > 0, signal / torch.where(total > 0, total, torch.ones_like(total)), 0.0)
    return found
