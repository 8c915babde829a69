"""The predictions of k folds become one: each row is that of the member which held it out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from collidekit.dataset.exact import join_exact
from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Array, Predictions
from collidekit.inference.uncertainties import join_uncertainties


def join_folds(members: Sequence[Predictions], folds: Array) -> Predictions:
    """Return the predictions of all rows in the order of the dataset; member i has predicted the rows of fold i, in order.

    ``folds (N,)`` is the fold of each row of the dataset. The column ``fold`` says which member predicted a row.
    """
    places = [np.flatnonzero(folds == number) for number in range(len(members))]
    for number, (place, predictions) in enumerate(zip(places, members, strict=True)):
        if len(place) != len(predictions):
            raise CollidekitError(
                f"fold {number} has {len(place):,} rows, and {len(predictions):,} of them are predicted: the dataset is not "
                "that of the predictions; remove both and run again"
            )
    order = np.argsort(np.concatenate(places), kind="stable")
    first = members[0]

    def joined(parts: Sequence[Array]) -> Array:
        found: Array = np.concatenate(parts)[order]
        return found

    event = {name: join_exact([p.event[name] for p in members], name)[order] for name in first.event}
    if "fold" in event:
        event["event_fold"] = event.pop("fold")
    return replace(
        first,
        probabilities=joined([p.probabilities for p in members]),
        labels=joined([p.labels for p in members]),
        weights=joined([p.weights for p in members]),
        spectators={name: join_exact([p.spectators[name] for p in members], name)[order] for name in first.spectators},
        event={**event, "fold": folds},
        values={name: joined([p.values[name] for p in members]) for name in first.values},
        uncertainties=join_uncertainties([p.uncertainties for p in members], joined),
        densities={name: joined([p.densities[name] for p in members]) for name in first.densities},
        truth={name: joined([p.truth[name] for p in members]) for name in first.truth},
        positions={name: joined([p.positions[name] for p in members]) for name in first.positions},
        true_positions={name: joined([p.true_positions[name] for p in members]) for name in first.true_positions},
        parent_probabilities={
            name: joined([p.parent_probabilities[name] for p in members]) for name in first.parent_probabilities
        },
        relegated=None if first.relegated is None else joined([_relegated(p) for p in members]),
    )


def _relegated(predictions: Predictions) -> Array:
    assert predictions.relegated is not None
    return predictions.relegated
