"""The momenta of a file as they are in the file, and the unit that they share."""

import re
from collections.abc import Mapping

from collidekit.starter.columns import Column, Lists
from collidekit.starter.momenta import Momentum, find_momentum
from collidekit.starter.units import UNKNOWN, unit_of


def is_jets(name: str) -> bool:
    """Return whether the name of a collection is that of jets."""
    return bool(re.search(r"jets?$", name, re.IGNORECASE))


def found_in(group: Lists) -> Momentum | None:
    """Return the momentum of the members of a collection as in the file."""
    return find_momentum(group.columns, group.name) or find_momentum(group.columns)


def own_momentum(rows: str, numbers: Mapping[str, Column]) -> tuple[str, Momentum] | None:
    """Return the prefix and the momentum of the jet among the numbers of a row, as in the file."""
    for prefix in (rows, "jet", "fatjet", "fj", "") if rows else ("jet", "fatjet", "fj", ""):
        if momentum := find_momentum(numbers, prefix):
            return prefix, momentum
    return None


def shared_unit(rows: str, numbers: Mapping[str, Column], lists: list[Lists]) -> str:
    """Return the unit of all momenta whose values are clear; unknown if they differ or if none is clear."""
    units = {unit_of(one, group.columns, is_jets(group.name)) for group in lists if (one := found_in(group))}
    if own := own_momentum(rows, numbers):
        units.add(unit_of(own[1], numbers, is_jet=True))
    units.discard(UNKNOWN)
    return units.pop() if len(units) == 1 else UNKNOWN
