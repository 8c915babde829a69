"""The kinematic bins in which classes are reweighted to the shape of the reference class."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch

Array = np.ndarray[Any, Any]


def number_of_bins(analysis: Analysis) -> int:
    """Return the product of the numbers of bins of all kinematic variables; 1 if there are none."""
    edges = analysis.kinematics.bins.values() if analysis.kinematics else ()
    return int(np.prod([len(e) - 1 for e in edges], dtype=np.int64))


def kinematic_bin(batch: Batch, analysis: Analysis) -> Array:
    """Return the bin of each row (N,); values beyond the edges belong to the first or last bin."""
    return kinematic_bins({name: values.numpy() for name, values in batch.spectators.items()}, len(batch), analysis)


def kinematic_bins(spectators: Mapping[str, Array], rows: int, analysis: Analysis) -> Array:
    """Return the bin of each row (N,) from columns (N,) by name."""
    result = np.zeros(rows, dtype=np.int64)
    for name, edges in (analysis.kinematics.bins if analysis.kinematics else {}).items():
        position = np.searchsorted(edges, spectators[name], side="right") - 1
        result = result * (len(edges) - 1) + np.clip(position, 0, len(edges) - 2)
    return result


def reference_weights(histogram: Array, reference: int, tail: float = 0.05) -> Array:
    """Return weights (K, bins) in [0, 1] that give each class the shape of the reference class.

    ``histogram (K, bins)`` is the sum of weights. The ratio of the normalised shapes, reference over class, is divided
    by a quantile of the ratio in the class, which only a fraction ``tail`` of its rows exceeds, and limited to 1. The few rows
    of nearly empty bins therefore do not reduce the weights of all others. The weight is 1 where the class has no rows, and 0
    where the reference has none.
    """
    positive = np.maximum(histogram, 0.0)
    total = positive.sum(axis=1, keepdims=True)
    shape = np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
    ratio = np.divide(shape[reference], shape, out=np.zeros_like(shape), where=shape > 0)
    weights = np.ones_like(ratio)
    if not shape[reference].any():  # there is no shape to reweight to
        return np.asarray(weights)
    for k in range(len(ratio)):
        order = np.argsort(ratio[k])
        below = np.cumsum(shape[k][order])
        level = ratio[k][order][min(np.searchsorted(below, 1 - tail), len(order) - 1)]
        # a class with few rows in common bins keeps these rows and no others
        level = level or ratio[k].max() or 1.0
        weights[k] = np.where(shape[k] > 0, np.minimum(ratio[k] / level, 1.0), 1.0)
    return np.asarray(weights)


def participating_rows(analysis: Analysis, histogram: Array, counts: Array) -> dict[str, tuple[int, int]]:
    """Return for each class the number of rows with a weight above 0, and the number of all rows."""
    assert analysis.kinematics is not None
    weights = reference_weights(histogram, list(analysis.classes).index(analysis.kinematics.reference))
    return {
        name: (int(counts[k][weights[k] > 0].sum()), int(counts[k].sum())) for k, name in enumerate(analysis.classes)
    }


def support_notes(analysis: Analysis, histogram: Array, counts: Any) -> list[str]:
    """Return warnings about rows with kinematic weight 0, and about bins without rows."""
    if analysis.kinematics is None:
        return []
    rows = np.asarray(counts, dtype=np.int64)
    reference = list(analysis.classes).index(analysis.kinematics.reference)
    name_of_reference = analysis.kinematics.reference
    said = []
    for k, (name, (taking_part, total)) in enumerate(participating_rows(analysis, histogram, rows).items()):
        if taking_part < total:
            without = (rows[k] > 0) & (np.asarray(histogram)[reference] <= 0)
            where = f" in {_bin_names(analysis, np.flatnonzero(without))}" if without.any() else ""
            said.append(
                f"kinematics: {taking_part:,} of {total:,} rows of class {name!r} take part in the training; the weight of "
                f"the other {total - taking_part:,} is 0, because the reference class {name_of_reference!r} has no rows"
                f"{where}. Choose bins that both classes fill, another reference, or a selection"
            )
    if len(empty := np.flatnonzero(rows.sum(axis=0) == 0)):
        said.append(
            f"kinematics: {len(empty):,} of {rows.shape[1]:,} bins hold no row of any class: {_bin_names(analysis, empty)}"
        )
    return said


def _bin_names(analysis: Analysis, bins: Array, most: int = 4) -> str:
    """Return the ranges of the first few bins as text."""
    assert analysis.kinematics is not None
    edges = analysis.kinematics.bins
    places = np.unravel_index(bins[:most], [len(e) - 1 for e in edges.values()])
    names = [
        ", ".join(f"{name} {e[i]:g} to {e[i + 1]:g}" for (name, e), i in zip(edges.items(), place, strict=True))
        for place in zip(*places, strict=True)
    ]
    return "; ".join(names) + (f" and {len(bins) - most:,} more" if len(bins) > most else "")
