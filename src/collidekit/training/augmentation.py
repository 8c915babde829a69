"""Random changes of training rows that leave their class what it is."""

from collections.abc import Callable

import torch
from attrs import evolve

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Ragged
from collidekit.errors import CollidekitError


class Rotation:
    """Each row turned by a random angle about its axis, and mirrored in half of the cases.

    The coordinates of a collection are turned, and with them the two features that have the same expressions.
    """

    def __init__(self, analysis: Analysis) -> None:
        self.columns: dict[str, list[tuple[int, int]]] = {}
        for name, entry in analysis.collections.items():
            if not entry.coordinates:
                continue
            expressions = [feature.expression for feature in entry.features]
            first = len(expressions) + 4 * bool(entry.momenta)
            self.columns[name] = [(first, first + 1)]
            if all(text in expressions for text in entry.coordinates):
                a, b = (expressions.index(text) for text in entry.coordinates)
                self.columns[name].append((a, b))
        if not self.columns:
            raise CollidekitError("augmentation rotation: no collection of the analysis has coordinates to turn")

    def __call__(self, batch: Batch) -> Batch:
        angle = 2 * torch.pi * torch.rand(len(batch), device=batch.weights.device)
        mirror = 1.0 - 2.0 * torch.randint(2, (len(batch),), device=batch.weights.device)
        inputs = dict(batch.inputs)
        for name, pairs in self.columns.items():
            entry = inputs[name]
            assert isinstance(entry, Ragged)
            data = entry.data.clone()
            cos, sin, flip = (values.to(data)[entry.rows] for values in (angle.cos(), angle.sin(), mirror))
            for a, b in pairs:
                x, y = entry.data[:, a], entry.data[:, b] * flip
                data[:, a] = x * cos - y * sin
                data[:, b] = x * sin + y * cos
            inputs[name] = evolve(entry, data=data)
        return evolve(batch, inputs=inputs)


AUGMENTATIONS: dict[str, Callable[[Analysis], Rotation]] = {"rotation": Rotation}
