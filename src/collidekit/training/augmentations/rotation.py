"""Augmentation: a random rotation of each row about its axis."""

import ast

import torch
from attrs import evolve
from torch import Tensor

from collidekit.analysis.schema import Analysis, Collection
from collidekit.analysis.scope import Plan
from collidekit.consistency.changes import Rules
from collidekit.consistency.dependents import Dependents
from collidekit.consistency.lists import Counts, Lists, lists_of
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.statistics import Statistics
from collidekit.errors import CollidekitError


class Rotation:
    """Rotation of each row by a random angle about its axis, with a reflection in half of the cases.

    The coordinates of a collection are rotated, and the features with the same expressions. Everything that the analysis
    computes from named coordinates is computed again. Momenta stay constant: distances in the plane of the coordinates,
    and everything that follows from them and from transverse momenta, do not change.
    """

    def __init__(self, analysis: Analysis, statistics: Statistics, strength: float) -> None:
        self.columns = {name: _pairs(entry) for name, entry in analysis.collections.items() if entry.coordinates}
        if not self.columns:
            raise CollidekitError("augmentation rotation: no collection of the analysis has coordinates")
        self.names = {
            name: [text.strip() for text in analysis.collections[name].coordinates or ()] for name in self.columns
        }
        known = frozenset(text for pair in self.names.values() for text in pair if text.isidentifier())
        apart = {name: _turned(analysis.collections[name], pairs) for name, pairs in self.columns.items()}
        self.dependents = Dependents(
            "augmentation rotation", analysis, Rules(Plan(analysis), known, known, True), apart
        )

    def __call__(self, batch: Batch) -> Batch:
        angle = 2 * torch.pi * torch.rand(len(batch))
        mirror = 1.0 - 2.0 * torch.randint(2, (len(batch),))
        turned: dict[str, Ragged] = {}
        old: dict[str, Lists] = {}
        new: dict[str, Lists] = {}
        for name in self.columns:
            entry = batch.inputs[name]
            assert isinstance(entry, Ragged)
            turned[name] = self._turn(name, entry, angle, mirror)
            if self.dependents:
                old |= self._named(name, entry)
                new |= self._named(name, turned[name])
        return self.dependents(batch, turned, old, new)

    def _turn(self, name: str, entry: Ragged, angle: Tensor, mirror: Tensor) -> Ragged:
        data, rows = entry.data.clone(), entry.rows
        cos, sin, flip = (values.to(data)[rows] for values in (angle.cos(), angle.sin(), mirror))
        for a, b in self.columns[name]:
            x, y = entry.data[:, a], entry.data[:, b] * flip
            data[:, a] = x * cos - y * sin
            data[:, b] = x * sin + y * cos
        return evolve(entry, data=data)

    def _named(self, name: str, entry: Ragged) -> dict[str, Lists]:
        shape = Counts(entry.counts.numpy())
        pairs = zip(self.names[name], entry.coordinates.unbind(1), strict=True)
        return {text: lists_of(entry, values, shape) for text, values in pairs}


def _pairs(entry: Collection) -> list[tuple[int, int]]:
    """Return the pairs of columns that are rotated: the coordinates, and the features with the same expressions if both exist."""
    expressions = [feature.expression for feature in entry.features]
    first = entry.first_coordinate
    pairs = [(first, first + 1)]
    if entry.coordinates and all(text in expressions for text in entry.coordinates):
        a, b = (expressions.index(text) for text in entry.coordinates)
        pairs.append((a, b))
    return pairs


def _turned(entry: Collection, pairs: list[tuple[int, int]]) -> frozenset[int]:
    """Return the columns that need not be computed again: rotated columns, and the distance from the axis."""
    a, b = entry.coordinates or ("", "")
    distances = [ast.unparse(ast.parse(f"hypot({x}, {y})")) for x, y in ((a, b), (b, a))]
    found = {column for pair in pairs for column in pair}
    for i, feature in enumerate(entry.features):
        if ast.unparse(ast.parse(feature.expression.strip())) in distances:
            found.add(i)
    return frozenset(found)
