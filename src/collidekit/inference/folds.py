"""Predictions of k folds joined into one, with each row from the member that held it out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.inference.join import join_predictions
from collidekit.inference.predictions import Array, Predictions


def join_folds(members: Sequence[Predictions], folds: Array) -> Predictions:
    """Return the predictions of all rows in the order of the dataset.

    Member i has predicted the rows of fold i, in order. ``folds (N,)`` is the fold of each row of the dataset. The
    column ``fold`` of the result is the number of the member that predicted a row.
    """
    places = [np.flatnonzero(folds == number) for number in range(len(members))]
    for number, (place, predictions) in enumerate(zip(places, members, strict=True)):
        if len(place) != len(predictions):
            raise CollidekitError(
                f"fold {number} has {len(place):,} rows, and {len(predictions):,} of them are predicted: the predictions were made "
                "with another dataset; remove both and run again"
            )
    found = join_predictions(members, np.argsort(np.concatenate(places), kind="stable"))
    event = dict(found.event)
    if "fold" in event:
        event["event_fold"] = event.pop("fold")
    return replace(found, event={**event, "fold": folds})
