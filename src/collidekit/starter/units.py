"""Find the units of momenta (GeV or MeV) and angles (radians or degrees) from their values, and convert them to GeV and radians."""

import re
from collections.abc import Callable, Mapping

import numpy as np

from collidekit.analysis.angles import in_degrees
from collidekit.starter.columns import Column
from collidekit.starter.momenta import Momentum

GEV, MEV, UNKNOWN = "GeV", "MeV", ""
TO_RADIANS = " * pi / 180"
_JET = (1_500.0, 4_000.0)
_MEMBER = (60.0, 150.0)
"""Medians up to the first number are in GeV, and from the second number in MeV. Between them the unit is unknown."""


def unit_of(momentum: Momentum, columns: Mapping[str, Column], is_jet: bool = False) -> str:
    """Return the unit of a momentum from the median of its pt, px or energy; empty if the unit is unknown."""
    low, high = _JET if is_jet else _MEMBER
    for text in (momentum.pt, momentum.energy, momentum.px):
        column = column_of(text, columns)
        if column is not None and len(column.finite):
            typical = float(np.median(np.abs(column.finite)))
            return GEV if typical <= low else MEV if typical >= high else UNKNOWN
    return UNKNOWN


def column_of(text: str, columns: Mapping[str, Column]) -> Column | None:
    """Return the column of an expression that is a column or its first member; None for other expressions."""
    return columns.get(bare(text))


def bare(text: str) -> str:
    """Return the name of a column from itself or from an expression of its first member."""
    return text.removeprefix("first(").removesuffix(")") if text.startswith("first(") else text


def is_degrees(text: str, columns: Mapping[str, Column]) -> bool:
    """Return whether an azimuth is a column in degrees."""
    column = column_of(text, columns)
    return column is not None and in_degrees(column.values)


def radians(text: str) -> str:
    """Return an angle in degrees as an expression in radians."""
    return f"{text}{TO_RADIANS}"


def in_gev(momentum: Momentum, is_column: Callable[[str], bool]) -> Momentum:
    """Convert a momentum from MeV to GeV."""
    parts = {part: divided(getattr(momentum, part)) for part in ("pt", "px", "py", "pz", "energy", "mass")}
    if momentum.px and not is_column(momentum.pt):
        parts["pt"] = f"pt({parts['px']}, {parts['py']})"
    return Momentum(eta=momentum.eta, phi=momentum.phi, columns=momentum.columns, **parts)


def divided(text: str) -> str:
    """Return an expression divided by 1000; an empty one stays empty."""
    simple = re.fullmatch(r"[\w`]+(\([^()]*\))?", text)
    return text and (f"{text} / 1000" if simple else f"({text}) / 1000")
