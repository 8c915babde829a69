"""Attack space of the momenta of constituents, with everything that the analysis computes from them."""

from typing import Any

import torch
from attrs import evolve
from torch import Tensor

from collidekit.analysis.functions import delta_phi
from collidekit.analysis.schema import Analysis
from collidekit.attacks.differentiable import Differentiable
from collidekit.attacks.features import inputs_to_attack
from collidekit.attacks.region import Moves, Region
from collidekit.attacks.settings import AttackSettings
from collidekit.consistency.changes import Follower
from collidekit.consistency.dependents import Column
from collidekit.consistency.momenta import COMPONENTS, Momenta, momentum_part
from collidekit.dataset.batch import Batch, Input, Ragged
from collidekit.errors import CollidekitError

ANGLE = 0.1
"""Change of an angle for a magnitude of 1, in radians; the transverse momentum changes by a factor e."""


class MomentumSpace:
    """Changes of log(pt), eta and phi of each constituent; its mass is constant, so that it stays physical.

    A change of m multiplies pt by exp(m) and changes an angle by 0.1 m. Features, coordinates and flat groups that follow from
    the momenta are computed again. Variables of the file that are not in the batch stay constant.
    """

    def __init__(self, analysis: Analysis, settings: AttackSettings) -> None:
        for name in ("attack_individual_factors", "attack_factors"):
            if getattr(settings, name):
                raise CollidekitError(
                    f"{name.replace('_', '-')} acts only on features; leave it out with attack-space momenta"
                )
        if settings.attack_restrict_impact >= 0:
            raise CollidekitError(
                "attack-restrict-impact acts only on features; leave it out with attack-space momenta"
            )
        moved = ("px", "py", "pz", "energy", "pt", "eta", "phi")
        self.momenta = Momenta("attack-space momenta", analysis, moved, fixed=True)
        self.names = [name for name in self.momenta.names if name in inputs_to_attack(analysis, settings)]
        if not self.names:
            raise CollidekitError(f"{analysis.name}: attack-space momenta needs attack-inputs all or constituents")

    def region(self, batch: Batch) -> Region:
        parts = {name: _Cylindrical(batch.inputs[name]) for name in self.momenta.names}
        fixed = {name: part.data.new_zeros(len(part.data), 3) for name, part in parts.items()}
        free = {name: torch.full_like(fixed[name], torch.inf) for name in self.names}

        def make(moves: Moves) -> Batch:
            return self._make(batch, parts, {**fixed, **moves})

        return Region(batch, make, {name: -values for name, values in free.items()}, free)

    def _make(self, batch: Batch, parts: dict[str, "_Cylindrical"], moves: Moves) -> Batch:
        """Return the batch with changed momenta, and with all columns that depend on them."""
        old: dict[str, Differentiable] = {}
        new: dict[str, Differentiable] = {}
        inputs = dict(batch.inputs)
        for name, names in self.momenta.names.items():
            part = parts[name]
            before, after = part.moved(torch.zeros_like(moves[name])), part.moved(moves[name])
            for key, component in names.items():
                old[key] = Differentiable(momentum_part(before, component), part.rows, len(batch))
                new[key] = Differentiable(momentum_part(after, component), part.rows, len(batch))
            change = (after - before).to(part.data)
            columns = [*part.data.unbind(1)]
            for position in range(len(COMPONENTS)):
                column = part.first + position
                columns[column] = columns[column] + change[:, position]
            inputs[name] = evolve(part.entry, data=torch.stack(columns, dim=1))
        for name, changing in self.momenta.dependents.changing.items():
            if changing:
                inputs[name] = self._follow(inputs[name], changing, self.momenta.dependents.columns[name], old, new)
        return evolve(batch, inputs=inputs)

    def _follow(
        self, entry: Input, changing: list[Column], every: list[Column], old: dict[str, Any], new: dict[str, Any]
    ) -> Input:
        """Return an input with its changed columns; differences are added, so that no change of momenta changes nothing."""
        data = entry.data if isinstance(entry, Ragged) else entry
        rows = entry.rows if isinstance(entry, Ragged) else None
        size = len(entry)
        wrapped = [Differentiable(column.double(), rows, size) for column in data.unbind(1)]
        stored = {column.text: wrapped[column.position] for column in every if column.as_computed}
        follower = Follower(self.momenta.dependents.rules, old, new, stored, None)  # type: ignore[arg-type]
        columns = [*data.unbind(1)]
        for column in changing:
            change, before = follower.change(column.node), wrapped[column.position]
            multiplied = change.new is None and change.plus is None
            by = before * change.times - before if multiplied else change.difference()
            if self.momenta.dependents.is_angle(column):
                by = delta_phi(by, 0.0)
            columns[column.position] = _within(columns[column.position], before.flat(by), column)
        moved = torch.stack(columns, dim=1)
        return evolve(entry, data=moved) if isinstance(entry, Ragged) else moved


class _Cylindrical:
    """Constituents of a collection in log(pt), eta, phi and mass squared, in double precision."""

    def __init__(self, entry: Input) -> None:
        assert isinstance(entry, Ragged)
        self.entry, self.rows, self.first = entry, entry.rows, entry.num_features
        self.data = entry.data.clone()
        px, py, pz, energy = self.data[:, self.first : self.first + 4].double().unbind(1)
        pt = torch.hypot(px, py).clamp_min(1e-30)
        self.logpt, self.eta, self.phi = pt.log(), torch.asinh(pz / pt), torch.atan2(py, px)
        self.mass2 = energy.square() - pt.square() - pz.square()  # may be negative by rounding, and is kept

    def moved(self, moves: Tensor) -> Tensor:
        """Return px, py, pz, E (T, 4) of the changed constituents."""
        by = moves.double()
        pt = (self.logpt + by[:, 0]).exp()
        phi, pz = self.phi + ANGLE * by[:, 2], pt * (self.eta + ANGLE * by[:, 1]).sinh()
        energy = (self.mass2 + pt.square() + pz.square()).clamp_min(1e-30).sqrt()
        return torch.stack([pt * phi.cos(), pt * phi.sin(), pz, energy], dim=1)


def _within(values: Tensor, by: Tensor, column: Column) -> Tensor:
    """Return the changed values within their bounds; missing or non-finite values stay constant."""
    feature, by = column.feature, by.to(values)
    moved = values + by
    stays = ~torch.isfinite(moved)
    if feature.default is not None:
        stays = stays | (values == feature.default)
    if feature.bounds is not None:
        moved = torch.where(by == 0, moved, moved.clamp(*feature.bounds))
    return torch.where(stays, values, moved)
