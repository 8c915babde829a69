"""Factors of the magnitude for each feature: from the spread of the training set, or from a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.attacks.factor_file import read_factors
from collidekit.attacks.settings import AttackSettings
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.scaling import Scaling

Percentiles = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Input -> feature -> summary with ``percentiles``, as in the manifest of a dataset."""


def build_factors(
    analysis: Analysis, scaling: Scaling, settings: AttackSettings, summary: Percentiles | None
) -> dict[str, Tensor]:
    """Return a factor for each feature (F,) of each input: its spread times its factor in the file; 1 without both."""
    factors = {name: torch.ones(len(entry.features), dtype=torch.float64) for name, entry in analysis.inputs.items()}
    if settings.attack_individual_factors:
        if summary is None:
            raise CollidekitError(
                "attack-individual-factors needs the dataset of the training, for the spread of its features; give your own "
                "factors with attack-factors"
            )
        for name, entry in analysis.inputs.items():
            scale = scaling.get_buffer(f"{name}_factor")[: len(entry.features)].double().cpu()
            factors[name] = torch.tensor([_spread(summary[name][f.name]) for f in entry.features]) * scale
    if settings.attack_factors:
        _read(Path(settings.attack_factors), analysis, factors)
    return factors


def _spread(summary: Mapping[str, Any]) -> float:
    """Return half the distance from the 20th to the 80th percentile, without default values, in raw units."""
    percentiles = summary["percentiles"]
    return (float(percentiles["80"]) - float(percentiles["20"])) / 2


def _read(path: Path, analysis: Analysis, factors: dict[str, Tensor]) -> None:
    """Multiply the factors by those of a file."""
    content = read_factors(path)
    places: dict[str, list[tuple[str, int]]] = {}
    for name, entry in analysis.inputs.items():
        for position, feature in enumerate(entry.features):
            for key in (feature.name, f"{name}.{feature.name}"):
                places.setdefault(key, []).append((name, position))
    for key, factor in content.items():
        if key not in places:
            raise CollidekitError(f"{path}: there is no feature {key!r}{did_you_mean(key, list(places))}")
        for name, position in places[key]:
            factors[name][position] *= factor
