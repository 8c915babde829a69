"""A model that answers NaN is an error, not a score."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from collidekit.dataset.batch import Batch
from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Array

SHOWN = 5


def check_answers(answers: Array, batch: Batch, tagger: nn.Module, model: str, files: Sequence[str] = ()) -> None:
    """An error that names the rows whose probabilities (N, K) are NaN or infinite."""
    bad = np.flatnonzero(~np.isfinite(answers).all(axis=1))
    if not len(bad):
        return
    places = [(int(file), int(row)) for file, row in batch.source[bad[:SHOWN]].tolist()]
    file = places[0][0]
    rows = ", ".join(str(row) for number, row in places if number == file)
    more = len(bad) - sum(number == file for number, _ in places)
    others = f" and {more:,} more of these {len(batch):,}" if more else ""
    where = files[file] if file < len(files) else f"file {file + 1} of the dataset"
    finite = all(bool(torch.isfinite(value).all()) for value in tagger.state_dict().values())
    why = (
        "values of these rows are too large for it: look at one with 'collidekit trace'"
        if finite
        else "its weights are NaN: train it again"
    )
    raise CollidekitError(f"{where}: row {rows}{others}: {model} answers NaN or infinity; {why}")
