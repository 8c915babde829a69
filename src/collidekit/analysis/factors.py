"""Values of one quantity in several files, with GeV in one file and MeV in another one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LEAST, _MOST = 300.0, 3000.0
"""Range of the ratio of two typical values in GeV and MeV; spectra of different samples differ by far less."""
_FEWEST = 10


def typical(values: NDArray[np.float64]) -> float:
    """Return the median absolute value, in which 0 and repeated markers such as -999 count at most once; NaN for few values."""
    sizes = np.unique(np.abs(values[np.isfinite(values) & (values != 0)]))
    return float(np.median(sizes)) if len(sizes) >= _FEWEST else float("nan")


def different_units(sizes: Sequence[float]) -> tuple[int, int] | None:
    """Return the positions of a small and a large typical value whose ratio is nearest to 1000; None if no ratio is like that."""
    values = np.asarray(sizes, dtype=np.float64)
    order = np.argsort(values, kind="stable")[: int(np.isfinite(values).sum())]
    logs = np.log(np.maximum(values[order], 1e-30))
    best: tuple[float, int, int] | None = None
    for place, log in enumerate(logs):
        after = int(np.searchsorted(logs, log + np.log(1000)))
        for other in (after - 1, after):
            if place < other < len(logs) and np.log(_LEAST) <= logs[other] - log <= np.log(_MOST):
                far = abs(logs[other] - log - np.log(1000))
                best = min(best or (np.inf, 0, 0), (far, int(order[place]), int(order[other])))
    return best[1:] if best else None
