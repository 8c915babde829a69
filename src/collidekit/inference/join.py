"""Predictions of several groups of rows joined into one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from collidekit.dataset.exact import join_exact
from collidekit.inference.predictions import Array, Predictions
from collidekit.inference.uncertainties import join_uncertainties


def join_predictions(parts: Sequence[Predictions], order: Array | None = None) -> Predictions:
    """Return the predictions of all parts, one part after another, or in the given ``order (N,)`` of these rows."""
    first = parts[0]

    def ordered(values: Array) -> Array:
        return values if order is None else values[order]

    def joined(columns: Sequence[Array]) -> Array:
        return ordered(np.concatenate(columns))

    return replace(
        first,
        probabilities=joined([p.probabilities for p in parts]),
        labels=joined([p.labels for p in parts]),
        weights=joined([p.weights for p in parts]),
        spectators={name: ordered(join_exact([p.spectators[name] for p in parts], name)) for name in first.spectators},
        event={name: ordered(join_exact([p.event[name] for p in parts], name)) for name in first.event},
        values={name: joined([p.values[name] for p in parts]) for name in first.values},
        uncertainties=join_uncertainties([p.uncertainties for p in parts], joined),
        densities={name: joined([p.densities[name] for p in parts]) for name in first.densities},
        truth={name: joined([p.truth[name] for p in parts]) for name in first.truth},
        positions={name: joined([p.positions[name] for p in parts]) for name in first.positions},
        true_positions={name: joined([p.true_positions[name] for p in parts]) for name in first.true_positions},
        parent_probabilities={
            name: joined([p.parent_probabilities[name] for p in parts]) for name in first.parent_probabilities
        },
        relegated=None if first.relegated is None else joined([_relegated(p) for p in parts]),
    )


def _relegated(predictions: Predictions) -> Array:
    assert predictions.relegated is not None
    return predictions.relegated
