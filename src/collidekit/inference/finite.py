"""Check that predictions are finite."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from collidekit.dataset.arrays import RowFields
from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Array

if TYPE_CHECKING:
    from torch import nn

SHOWN = 5
OF_TRUTH = ("pit_", "nll_")
"""Prefixes of columns that compare a prediction with the truth, and are NaN if the truth is unknown."""


def check_answers(
    answers: Mapping[str, Array],
    rows: RowFields[Any, Any],
    model: str,
    files: Sequence[str] = (),
    has_finite_weights: Callable[[], bool] = lambda: True,
) -> None:
    """Raise CollidekitError with the rows for which a column (N,) of the model is NaN or infinite."""
    found = np.stack([column for name, column in answers.items() if not name.startswith(OF_TRUTH)], axis=1)
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if not len(bad):
        return
    places = [(int(file), int(row)) for file, row in rows.source[bad[:SHOWN]].tolist()]
    file = places[0][0]
    numbers = ", ".join(str(row) for number, row in places if number == file)
    more = len(bad) - sum(number == file for number, _ in places)
    others = f" and {more:,} more of these {len(rows):,}" if more else ""
    where = files[file] if file < len(files) else f"file {file + 1} of the dataset"
    why = (
        "values of these rows are too large for it: inspect one with 'collidekit trace'"
        if has_finite_weights()
        else "its weights are NaN: train it again"
    )
    raise CollidekitError(f"{where}: row {numbers}{others}: {model} returns NaN or infinity; {why}")


def weights_are_finite(tagger: "nn.Module") -> bool:
    """Return whether no weight of a network is NaN or infinite."""
    return all(bool(value.isfinite().all()) for value in tagger.state_dict().values())
