"""Rows without predictions, as a ``Predictions`` object."""

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.inference.assembly import truths_of
from collidekit.inference.predictions import Array, Predictions


def truth_of(batch: Batch, analysis: Analysis) -> Predictions:
    """Return ``Predictions`` that hold only truth, weights, event numbers and spectators of rows."""
    parts: dict[str, list[Array]] = {}
    for target, entry in analysis.row_targets.items():
        for v, name in enumerate(entry.values):
            parts[name] = [batch.truth[target][:, v].numpy()]
    columns = {"file": batch.source[:, 0], "row": batch.source[:, 1]}
    return Predictions(
        classes=(),
        probabilities=np.zeros((len(batch), 0)),
        labels=np.full(len(batch), -1),
        weights=batch.weights.numpy(),
        spectators={name: values.numpy() for name, values in batch.spectators.items()},
        event={name: values.numpy() for name, values in {**batch.event, **columns}.items()},
        **truths_of(parts, analysis),
        units=analysis.units_of_values,
    )
