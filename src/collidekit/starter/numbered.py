"""Join numbered columns of a flat table, ``E_0``, ``E_1`` ... ``E_199``, to one list."""

import re
from collections import Counter

import numpy as np

from collidekit.analysis.row_lists import MOST
from collidekit.starter.columns import Column
from collidekit.starter.guessed import Guess

_FEWEST = 8
"""Minimum number of numbered columns for a list."""


def join_numbered(columns: dict[str, Column], found: Guess) -> dict[str, Column]:
    """Return the columns with lists in place of numbered columns; the lists become variables of the analysis.

    Columns are joined only if columns with another name have the same numbers, such as ``E_0`` ... and ``PX_0`` ...: a single series
    may be numbered features that have nothing in common.
    """
    series: dict[str, dict[int, Column]] = {}
    for name, column in columns.items():
        match = re.fullmatch(r"([A-Za-z]\w*?)_?(\d+)", name)
        if match and not column.is_list:
            series.setdefault(match[1], {})[int(match[2])] = column
    alike = Counter(tuple(sorted(members)) for members in series.values())
    made: dict[str, Column] = {}
    used: set[str] = set()
    notes: list[str] = []
    for stem, members in series.items():
        numbers = sorted(members)
        whole = numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] in (0, 1)
        if len(numbers) < _FEWEST or not whole or stem in columns or alike[tuple(numbers)] < 2:
            continue
        names = [members[number].name for number in numbers]
        found.variables[stem] = _joined(names)
        values = np.stack([members[number].values for number in numbers], axis=1)
        counts = np.full(len(values), len(names), dtype=np.int64)
        made[stem] = Column(stem, f"var * {values.dtype}", values.reshape(-1), counts)
        used |= set(names)
        notes.append(f"{names[0]} ... are read as one list {stem}")
    if notes:
        found.notes.append("; ".join(notes))
    return {**made, **{name: column for name, column in columns.items() if name not in used}}


def _joined(names: list[str]) -> str:
    """Return the expression of the list; one call of ``list`` takes at most MOST numbers."""
    parts = [f"list({', '.join(names[i : i + MOST])})" for i in range(0, len(names), MOST)]
    return parts[0] if len(parts) == 1 else f"join({', '.join(parts)})"
