"""The kinematic bins in which classes are brought to the shape of the reference class."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch

Array = np.ndarray[Any, Any]


def number_of_bins(analysis: Analysis) -> int:
    """Product of the numbers of bins of all kinematic variables; 1 without any."""
    edges = analysis.kinematics.bins.values() if analysis.kinematics else ()
    return int(np.prod([len(e) - 1 for e in edges], dtype=np.int64))


def kinematic_bin(batch: Batch, analysis: Analysis) -> Array:
    """The bin of each row (N,); values beyond the edges belong to the first or last bin."""
    return kinematic_bins({name: values.numpy() for name, values in batch.spectators.items()}, len(batch), analysis)


def kinematic_bins(spectators: Mapping[str, Array], rows: int, analysis: Analysis) -> Array:
    """The same from columns (N,) by name."""
    result = np.zeros(rows, dtype=np.int64)
    for name, edges in (analysis.kinematics.bins if analysis.kinematics else {}).items():
        position = np.searchsorted(edges, spectators[name], side="right") - 1
        result = result * (len(edges) - 1) + np.clip(position, 0, len(edges) - 2)
    return result


def reference_weights(histogram: Array, reference: int, tail: float = 0.05) -> Array:
    """Weights (K, bins) in [0, 1] that bring each class to the shape of the reference class.

    ``histogram (K, bins)`` is the sum of weights. The ratio of the normalised shapes, reference over class, is divided
    by the value that all but a fraction ``tail`` of the class's rows stay below, and held at 1: the few rows of nearly
    empty bins must not decide how much of all the others is kept. A class is 1 where it has no rows.
    """
    positive = np.maximum(histogram, 0.0)
    total = positive.sum(axis=1, keepdims=True)
    shape = np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
    ratio = np.divide(shape[reference], shape, out=np.zeros_like(shape), where=shape > 0)
    weights = np.ones_like(ratio)
    for k in range(len(ratio)):
        order = np.argsort(ratio[k])
        below = np.cumsum(shape[k][order])
        level = ratio[k][order][min(np.searchsorted(below, 1 - tail), len(order) - 1)]
        if level > 0:
            weights[k] = np.where(shape[k] > 0, np.minimum(ratio[k] / level, 1.0), 1.0)
    return np.asarray(weights)
