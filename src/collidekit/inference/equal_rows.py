"""Rows with the inputs of training rows in other files, and how many of them may be equal by chance."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from collidekit.dataset.learned import Known, LearnedFrom
from collidekit.dataset.row_sketch import FEW, FEW_SHARE

Array = np.ndarray[Any, Any]


class EqualRows:
    """Decides whether a file has more rows that are equal to training rows than chance allows.

    ``too_many_before`` is for files that are read one after another, ``too_many`` for all rows at once.
    """

    def __init__(self, learned: Iterable[LearnedFrom]) -> None:
        sketches = [entry.sketch for entry in learned if entry.sketch]
        fractions = [sketch.fraction for sketch in sketches] or [1.0]
        self.fraction = max(fractions)
        """The fraction of the rows that are looked up."""
        expected = max((2 * sketch.repeated * sketch.fraction for sketch in sketches), default=0.0)
        self._share_found = max(FEW_SHARE * min(fractions), expected)
        self.share = max((sketch.share_by_chance for sketch in sketches), default=0.0)
        """The fraction of the rows of a file that may be equal to training rows by chance."""
        self._rows: Counter[int] = Counter()
        self._same: Counter[int] = Counter()

    def too_many(self, best: Array, files: Array) -> Array:
        """Return flags (N,) of rows that are equal to training rows, in files with more of them than chance allows.

        ``best (N,)`` holds values of ``Known``, ``files (N,)`` the file numbers.
        """
        same: Array = best == Known.SAME_INPUTS
        if same.any():
            same &= (np.bincount(files, same) > self._most(np.bincount(files)))[files]
        return same

    def too_many_before(self, file: int, best: Array, files: Array) -> bool:
        """Count the next rows (n,); return whether a file before ``file`` has too many rows that are equal to training rows."""
        for number in np.unique(files).tolist():
            here = files == number
            self._rows[number] += int(here.sum())
            self._same[number] += int((best[here] == Known.SAME_INPUTS).sum())
        done = [number for number in self._rows if number < file]
        found = [self._same.pop(number) > self._most(self._rows.pop(number)) for number in done]
        return any(found)

    @property
    def rule(self) -> str:
        """Return the rule in words."""
        return f"up to {FEW} rows or {self.share:.1%} of a file may be equal by chance"

    def count(self, same: int, rows: int) -> str:
        """Return a text with the number of rows that are equal to training rows; ``same`` counts the rows that are looked up."""
        if self.fraction == 1:
            return f"{same:,} of {rows:,} rows"
        return f"about {min(round(same / self.fraction), rows):,} of {rows:,} rows ({self.fraction:.2g} of them were looked up)"

    def _most(self, rows: Array | int) -> Array:
        """Return the maximum number of rows of a file that may be equal to training rows by chance, among those looked up."""
        found: Array = np.maximum(FEW, self._share_found * np.asarray(rows))
        return found
