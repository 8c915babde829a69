"""Predicted rows, read again from their files with the original values."""

from collections.abc import Sequence

import numpy as np

from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch, concatenate
from collidekit.dataset.not_finite import NotFinite
from collidekit.errors import CollidekitError
from collidekit.inference.file_rows import rows_of_files
from collidekit.inference.predictions import Array


def rows_as_given(plan: Plan, files: Sequence[str], rows: Array) -> list[Batch]:
    """Return the rows (N, 2), given by number of the file and entry in it, in their order; NaN stays, and nothing is clipped."""
    parts, places = [], []
    for number in np.unique(rows[:, 0]):
        here = np.flatnonzero(rows[:, 0] == number)
        order = here[np.argsort(rows[here, 1], kind="stable")]
        wanted = rows[order, 1]
        for part in rows_of_files(plan, [files[number]], False, [], NotFinite(), as_given=True):
            place = np.searchsorted(wanted, part.source[:, 1])
            there = wanted[np.minimum(place, len(wanted) - 1)] == part.source[:, 1]
            if there.any():
                parts.append(Batch.of(part).take(np.flatnonzero(there)))
                places.append(order[place[there]])
    found = np.concatenate(places) if places else np.zeros(0, dtype=np.int64)
    if len(found) != len(rows) or len(np.unique(found)) != len(rows):
        raise CollidekitError(
            f"{files[rows[0, 0]] if len(rows) else plan.analysis.name}: does not hold the predicted rows; construct the dataset again"
        )
    return [concatenate(parts).take(np.argsort(found))] if parts else []
