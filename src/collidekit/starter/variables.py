"""Named expressions of a new analysis, in GeV and radians, and the columns that they use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from collidekit.starter.columns import Column
from collidekit.starter.momenta import Momentum
from collidekit.starter.units import bare, in_gev, is_degrees, radians

_MEV = 2_000.0
"""A median momentum above this is in MeV."""


@dataclass
class Variables:
    """The columns of a file by their name in expressions, and named expressions that use them."""

    columns: Mapping[str, Column]
    named: dict[str, str] = field(default_factory=dict)
    degrees: dict[str, None] = field(default_factory=dict)
    """Columns of angles in degrees."""

    def add(self, name: str, expression: str) -> str:
        """Return a name for an expression: the column itself, else a new variable."""
        if expression in self.columns and expression.isidentifier():
            return expression
        while name in self.columns or self.named.get(name, expression) != expression:
            name += "_"
        self.named[name] = expression
        return name

    def numbers(self) -> dict[str, str]:
        """Return the expression of each column with one number per row, by its plain name, including lists of length 1."""
        found = {column.plain: name for name, column in self.columns.items() if not column.is_list}
        ones = {c.plain: f"first({name})" for name, c in self.columns.items() if c.counts is not None and _all_one(c)}
        return ones | found

    def lists(self) -> dict[str, str]:
        """Return the expression of each list, by its plain name."""
        return {column.plain: name for name, column in self.columns.items() if column.is_list}

    def is_mev(self, names: Iterable[str]) -> bool:
        """Return whether the momenta in columns are too large for GeV."""
        values = [np.abs(self._column(name).finite) for name in names]
        return any(len(value) and float(np.median(value)) > _MEV for value in values)

    def in_gev(self, momentum: Momentum) -> Momentum:
        """Return a momentum in GeV and radians, converted if its values are too large for these units."""
        momentum = replace(momentum, phi=self.in_radians(momentum.phi))
        measured = [name for name in (momentum.px, momentum.energy, momentum.pt) if self._known(name)]
        if not self.is_mev(measured):
            return momentum
        return in_gev(momentum, self._known)

    def in_radians(self, angle: str) -> str:
        """Return an azimuth in radians, converted if its values are in degrees."""
        if not is_degrees(angle, self.columns):
            return angle
        self.degrees[bare(angle)] = None
        return radians(angle)

    def _known(self, text: str) -> bool:
        return bare(text) in self.columns

    def _column(self, text: str) -> Column:
        return self.columns[bare(text)]


def _all_one(column: Column) -> bool:
    return column.counts is not None and len(column.counts) > 0 and bool((column.counts == 1).all())
