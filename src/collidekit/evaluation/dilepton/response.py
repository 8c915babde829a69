"""Response matrices: migration of events between true and reconstructed bins, with stability and purity."""

from dataclasses import dataclass

import numpy as np

from collidekit.evaluation.binomial import Efficiencies, binned_efficiency
from collidekit.evaluation.dilepton.bins import Bins, with_limits
from collidekit.evaluation.dilepton.kinematics import TopPair
from collidekit.evaluation.dilepton.sample import Sample
from collidekit.evaluation.rows import Floats

COSINE_LIMITS = (-2 / 3, -1 / 3, 0.0, 1 / 3, 2 / 3)
"""Six equal bins from -1 to 1."""
COSINE_TEXTS = ("−1 to −⅔", "−⅔ to −⅓", "−⅓ to 0", "0 to ⅓", "⅓ to ⅔", "⅔ to 1")


@dataclass(frozen=True, eq=False)
class Response:
    """Response matrix of one quantity in B bins, from the weighted events with known truth and estimate."""

    method: str
    name: str
    label: str
    texts: tuple[str, ...]
    matrix: Floats
    """(B, B) fraction of the events of a true bin (row) that are reconstructed in a bin (column); NaN if a row has no weight."""
    stability: Efficiencies
    """(B,) fraction of the events of a true bin that are reconstructed in it."""
    purity: Efficiencies
    """(B,) fraction of the events reconstructed in a bin that come from it."""


def measure_response(sample: Sample, method: str, name: str) -> Response | None:
    """Return the response of ``c_hel``, ``c_han`` or ``m_tt`` for a method; None if it is unknown for truth or method."""
    true, found = _bins(sample, sample.truth, name), _bins(sample, sample.methods[method], name)
    if true is None or found is None:
        return None
    known = (true.numbers >= 0) & (found.numbers >= 0)
    if not known.any():
        return None
    rows, columns, weights, size = true.numbers[known], found.numbers[known], sample.weights[known], len(true)
    counts = np.bincount(rows * size + columns, weights, size**2).reshape(size, size)
    total = counts.sum(axis=1, keepdims=True)
    matrix = np.where(total > 0, counts / np.where(total > 0, total, 1.0), np.nan)
    same = rows == columns
    return Response(
        method, name, found.label, true.texts, matrix, binned_efficiency(same, weights, rows, size),
        binned_efficiency(same, weights, columns, size),
    )  # fmt: skip


def _bins(sample: Sample, pair: TopPair, name: str) -> Bins | None:
    if name == "m_tt":
        return None if pair.tops is None else sample.mass_bins(pair)
    directions = pair.directions
    if directions is None:
        return None
    bins = with_limits(name, name, getattr(directions, name), COSINE_LIMITS)
    return Bins(name, name, COSINE_TEXTS, bins.numbers)
