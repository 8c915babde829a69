"""Lists that expressions make from several numbers of the row, or from the members of several lists of the row."""

from typing import Any

import awkward as ak
import numpy as np

from collidekit.errors import CollidekitError

MOST = 100
"""Largest number of arguments of ``list`` and ``join``."""


def list_of_numbers(*numbers: Any) -> ak.Array:
    """Return the numbers of each row (N,) as a list of the row, in the order of the arguments; constants are repeated."""
    if any(isinstance(number, ak.Array) and number.ndim > 1 for number in numbers):
        raise CollidekitError(
            "needs numbers of the row, but one of these is a list in each row; join(a, b) joins lists"
        )
    rows = [len(number) for number in numbers if isinstance(number, ak.Array | np.ndarray) and number.ndim]
    if not rows:
        raise CollidekitError("needs at least one number of the row beside constants, such as a branch")
    columns = [np.broadcast_to(np.asarray(number), (rows[0],)) for number in numbers]
    return ak.from_regular(ak.Array(np.stack(columns, axis=1)), axis=1)


def join(*lists: Any) -> ak.Array:
    """Return one list for each row: the members of the first list, then those of the second, and so on."""
    if not all(isinstance(entry, ak.Array) and entry.ndim == 2 for entry in lists):
        raise CollidekitError(
            "needs lists, but one of these is not a list in each row; list(a, b) makes a list of numbers"
        )
    return ak.concatenate(list(lists), axis=1)
