"""Discriminators of probabilities, in torch, as ``Predictions.discriminator`` computes them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from collidekit.analysis.discriminators import SMALLEST, Discriminator


def discriminators(columns: Mapping[str, Tensor], definitions: Mapping[str, Discriminator]) -> dict[str, Tensor]:
    """Return S / (S + B) or ln(S / B) (N,) of each; 0 if both sums of a fraction vanish."""
    found = {}
    for name, definition in definitions.items():
        signal, background = definition.sums(lambda one: columns[f"prob_{one}"])
        if definition.form == "log":
            found[name] = torch.log((signal + SMALLEST) / (background + SMALLEST))
        else:
            total = signal + background
            found[name] = torch.where(total > 0, signal / torch.where(total > 0, total, torch.ones_like(total)), 0.0)
    return found
