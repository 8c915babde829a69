"""Angles in degrees, and momenta in different units, among the values that an analysis uses."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.angles import ARGUMENTS, MANY, beyond_turn
from collidekit.analysis.expressions import Expression
from collidekit.analysis.factors import different_units, typical
from collidekit.analysis.names import quoted
from collidekit.analysis.scope import Plan, Scope, flat_numbers
from collidekit.dataset.rows import open_scope
from collidekit.errors import CollidekitError

_ROWS = 2000
"""Number of rows of each file for the measurements."""
_MOMENTA = {"px": (0,), "py": (0,), "pz": (0,), "energy": (0,), "pair_mass": (0, 3, 4, 7)}
"""Positions of momenta and energies among the arguments of functions."""
_ENERGY = re.compile(r"[kMGT]eV")
_MASS = re.compile(r"mass|(^|_)m($|_)", re.IGNORECASE)
"""Masses are left out: those of light jets and of single particles differ by large factors."""
_PT = re.compile(r"(?:log\()?(`?(?:[\w./]*[_./])?pt(?:_NOSYS|_nominal)?`?)\)?", re.IGNORECASE)
"""A column of transverse momenta, or its logarithm."""


@dataclass
class Measured:
    """Measurements of one file: fractions of angles beyond 2 pi, and typical values of momenta, by expression."""

    angles: dict[str, float] = field(default_factory=dict)
    momenta: dict[str, float] = field(default_factory=dict)


@dataclass
class Quantities:
    """The angles and momenta of an analysis in the first rows of each file."""

    of_files: dict[str, Measured] = field(default_factory=dict)

    def add(self, plan: Plan, chunk: ak.Array, path: str, start: int) -> None:
        """Measure the first rows of a file, before the selection; further rows of the file are ignored."""
        if path in self.of_files:
            return
        measured = self.of_files[path] = Measured()
        try:
            scope = open_scope(plan, chunk[:_ROWS], path, start)
        except CollidekitError:  # the check of all rows reports it
            return
        angles = [arg for expression in plan.expressions.values() for arg in expression.arguments(ARGUMENTS)]
        _measure(angles, scope, measured.angles, beyond_turn)
        _measure(_momenta(plan, scope), scope, measured.momenta, typical)


def _momenta(plan: Plan, scope: Scope) -> Iterator[Expression]:
    """Yield expressions of momenta and energies: by their unit, as momenta of collections, as arguments, or by the name pt."""
    analysis = plan.analysis
    for name, unit in analysis.units.items():
        if _ENERGY.fullmatch(unit) and name in scope and not _MASS.search(name):
            yield Expression(quoted(name) if not name.isidentifier() else name)
    for group, entry in analysis.inputs.items():
        yield from plan.under("inputs", group, "momenta")[3:4]
        for number, feature in enumerate(entry.features):
            expression = plan["inputs", group, "features", number]
            if pt := _PT.fullmatch(expression.text):
                yield Expression(pt[1], expression.where)
            elif _ENERGY.fullmatch(feature.unit or "") and not _MASS.search(f"{feature.name} {expression.text}"):
                yield expression
    for expression in plan.expressions.values():
        yield from expression.arguments(_MOMENTA)


def _measure(
    expressions: Sequence[Expression] | Iterator[Expression],
    scope: Scope,
    found: dict[str, float],
    measure: Callable[[NDArray[np.float64]], float],
) -> None:
    """Add the measurement of each expression that uses a name and can be computed without the selection."""
    for expression in expressions:
        if expression.text in found or not expression.names:
            continue
        try:
            found[expression.text] = measure(_flat(scope.value(expression)))
        except (CollidekitError, KeyError, TypeError, ValueError):  # needs the selection, or columns that are not read
            continue


def _flat(value: Any) -> NDArray[np.float64]:
    numbers = flat_numbers(ak.flatten(value, axis=None)) if isinstance(value, ak.Array) else np.atleast_1d(value)
    return np.asarray(numbers, dtype=np.float64)


def angles_in_degrees(files: Sequence[tuple[str, Measured]]) -> Iterator[str]:
    """Yield a sentence for each angle with many values beyond 2 pi."""
    for text in dict.fromkeys(text for _, measured in files for text in measured.angles):
        fractions = {path: measured.angles[text] for path, measured in files if text in measured.angles}
        many = [path for path, fraction in fractions.items() if fraction > MANY]
        if many:
            where = f" in {many[0]}" if len(many) < len(fractions) else ""
            fraction = float(np.mean([fractions[path] for path in many]))
            yield (
                f"{text} is used as an angle in radians, but {fraction:.0%} of its values{where} are beyond 2 pi: are they degrees? "
                "Multiply by pi / 180"
            )


def mixed_units(files: Sequence[tuple[str, Measured]]) -> Iterator[str]:
    """Yield one sentence if typical momenta of two files differ as GeV and MeV do."""
    others: list[str] = []
    said = ""
    for text in dict.fromkeys(text for _, measured in files for text in measured.momenta):
        known = [(path, measured.momenta[text]) for path, measured in files if text in measured.momenta]
        if (pair := different_units([size for _, size in known])) is None:
            continue
        (low_path, low), (high_path, high) = known[pair[0]], known[pair[1]]
        if said:
            others.append(text)
        else:
            said = f"the median of {text} is {low:.3g} in {low_path} and {high:.3g} in {high_path}: is one file in GeV and one in MeV?"
    if said:
        yield said + (f" The same holds for {', '.join(others[:5])}" if others else "")
