"""GeV or MeV: the unit of momenta by the size of their values, and the same momenta in GeV."""

import re
from collections.abc import Callable, Mapping

import numpy as np

from collidekit.starter.columns import Column
from collidekit.starter.momenta import Momentum

GEV, MEV, UNKNOWN = "GeV", "MeV", ""
_JET = (1_500.0, 4_000.0)
_MEMBER = (60.0, 150.0)
"""Medians up to the first number are GeV, from the second on MeV; between them the unit is not known. Jets are harder than what is in them."""


def unit_of(momentum: Momentum, columns: Mapping[str, Column], is_jet: bool = False) -> str:
    """Return the unit of a momentum by the median of its pt, px or energy; empty where that does not tell."""
    low, high = _JET if is_jet else _MEMBER
    for text in (momentum.pt, momentum.energy, momentum.px):
        column = columns.get(text.removeprefix("first(").removesuffix(")"))
        if column is not None and len(column.finite):
            typical = float(np.median(np.abs(column.finite)))
            return GEV if typical <= low else MEV if typical >= high else UNKNOWN
    return UNKNOWN


def in_gev(momentum: Momentum, is_column: Callable[[str], bool]) -> Momentum:
    """The same momentum, which is in MeV, in GeV."""
    parts = {part: divided(getattr(momentum, part)) for part in ("pt", "px", "py", "pz", "energy", "mass")}
    if momentum.px and not is_column(momentum.pt):
        parts["pt"] = f"pt({parts['px']}, {parts['py']})"
    return Momentum(eta=momentum.eta, phi=momentum.phi, columns=momentum.columns, **parts)


def divided(text: str) -> str:
    """An expression in MeV as GeV; nothing stays nothing."""
    simple = re.fullmatch(r"[\w`]+(\([^()]*\))?", text)
    return text and (f"{text} / 1000" if simple else f"({text}) / 1000")
