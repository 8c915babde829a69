"""Augmentation: a random error of every continuous feature that is attackable."""

import torch
from attrs import evolve

from collidekit.analysis.features import Feature
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Input, Ragged
from collidekit.dataset.statistics import Statistics
from collidekit.errors import CollidekitError


class Noise:
    """Noise on each continuous, attackable feature: strength times its width times a Gaussian random number.

    Each feature changes separately: momenta and coordinates stay constant. Default values stay constant, and values stay
    within their bounds. The width is the standard deviation over the training set.
    """

    def __init__(self, analysis: Analysis, statistics: Statistics, strength: float) -> None:
        self.strength = strength
        self.features: dict[str, list[tuple[int, Feature, float]]] = {}
        for name, entry in analysis.inputs.items():
            for i, feature in enumerate(entry.features):
                if feature.kind == "continuous" and feature.attackable:
                    width = statistics[name][feature.name].std
                    self.features.setdefault(name, []).append((i, feature, width))
        if not self.features:
            raise CollidekitError("augmentation noise: no feature of the analysis is continuous and attackable")

    def __call__(self, batch: Batch) -> Batch:
        changed: dict[str, Input] = {}
        for name, features in self.features.items():
            entry = batch.inputs[name]
            data = (entry.data if isinstance(entry, Ragged) else entry).clone()
            for i, feature, width in features:
                old = data[:, i].clone()
                moved = old + self.strength * width * torch.randn(len(old))
                if feature.bounds is not None:
                    moved = moved.clamp(*feature.bounds)
                data[:, i] = moved if feature.default is None else torch.where(old == feature.default, old, moved)
            changed[name] = evolve(entry, data=data) if isinstance(entry, Ragged) else data
        return evolve(batch, inputs={**batch.inputs, **changed})
