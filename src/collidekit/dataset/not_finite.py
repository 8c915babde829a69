"""Counts of NaN and infinity, from files to predictions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np

from collidekit.analysis.expressions import Expression
from collidekit.analysis.scope import Scope


@dataclass
class NotFinite:
    """Counts over all files that were read."""

    values: dict[str, int] = field(default_factory=dict)
    """NaN and infinite values that became the default of their feature, by ``input.feature``."""
    lost: dict[str, int] = field(default_factory=dict)
    """Rows dropped by each condition of the selection while one of its variables was NaN."""

    def add(self, values: Mapping[str, int], lost: Mapping[str, int]) -> None:
        """Add the counts of one chunk."""
        for total, more in ((self.values, values), (self.lost, lost)):
            for name, number in more.items():
                total[name] = total.get(name, 0) + number

    def notes(self) -> list[str]:
        """Return one line for each problem; empty if all values were finite."""
        found = []
        if number := sum(self.values.values()):
            what = "values of inputs were" if number > 1 else "value of an input was"
            names = ", ".join(f"{name} {count:,}" for name, count in self.values.items())
            found.append(f"{number:,} {what} NaN or infinite and became the feature's default: {names}")
        return [*found, *lost_notes(self.lost)]


def lost_notes(lost: Mapping[str, int]) -> list[str]:
    """Return the numbers of rows that each condition of a selection dropped because of NaN, as text."""
    return [
        f"{number:,} {'row was' if number == 1 else 'rows were'} dropped by the selection {term!r} because a variable of it is NaN"
        for term, number in lost.items()
    ]


def lost_to_nan(scope: Scope, term: Expression, mask: np.ndarray[Any, Any]) -> int:
    """Return how many rows a condition drops while one of its numbers is NaN."""
    nan = np.zeros(scope.rows, dtype=bool)
    for name in term.names:
        values = scope.get(name)
        if isinstance(values, ak.Array | np.ndarray) and values.ndim == 1:
            numbers = ak.to_numpy(ak.fill_none(values, np.nan)) if isinstance(values, ak.Array) else values
            if np.issubdtype(numbers.dtype, np.floating):
                nan |= np.isnan(numbers)
    return int(np.count_nonzero(nan & ~mask))
