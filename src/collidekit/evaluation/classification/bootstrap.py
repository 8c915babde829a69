"""Statistical errors of a ROC curve from Poisson bootstrap replicates.

Each row gets an independent Poisson(1) weight in each replicate (arXiv 1209.5213 discusses it for large samples). The
weights depend only on the random seed, the number of rows and their order. Two taggers that are evaluated on the same rows with the
same seed get the same weights, so their comparison is paired.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, factorial

import numpy as np
from numpy.typing import NDArray

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.roc import first_reaching
from collidekit.evaluation.rows import BinaryRows, Floats, Ints

GRID: Floats = np.linspace(0.005, 1.0, 200)
"""Signal efficiencies at which the band of the curve is evaluated."""


@dataclass(frozen=True, eq=False)
class RocBootstrap:
    """Replicates (R,) of the AUC, of eB at the target efficiencies (R, T) and of the curve on GRID (R, G)."""

    targets: tuple[float, ...]
    auc: Floats
    background_efficiency: Floats
    curve: Floats
    seed: int
    rows: str
    """Hash of truth and weights: only replicates of the same rows can be paired."""

    @property
    def auc_error(self) -> float:
        return float(np.nanstd(self.auc, ddof=1))

    @property
    def band(self) -> tuple[Floats, Floats]:
        """Return the central 68 % of eB on GRID, each (G,)."""
        low, high = np.nanpercentile(self.curve, [15.87, 84.13], axis=0)
        return low, high


def poisson_weights(rows: int, replicates: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield ``replicates`` arrays (N,) of Poisson(1) counts, from a table of 65,536 entries: ten times faster than exact numbers."""
    probabilities = np.array([exp(-1) / factorial(k) for k in range(9)])
    edges = np.round(np.cumsum(probabilities) * 65536).astype(int)
    table = np.searchsorted(edges, np.arange(65536), side="right").astype(np.uint8)
    generator = np.random.default_rng(seed)
    for _ in range(replicates):
        yield table.take(generator.integers(0, 65536, rows, dtype=np.uint16))


def bootstrap(rows: BinaryRows, targets: tuple[float, ...], replicates: int = 200, seed: int = 0) -> RocBootstrap:
    """Compute the replicates of a ROC curve; sorts once, and needs a few arrays (N,) for any number of replicates."""
    if replicates < 2:
        raise CollidekitError(f"{replicates} bootstrap replicates have no spread; use at least 2, better 200")
    sides = _Sides.of(rows)
    points = np.concatenate([targets, GRID])
    auc, curve = np.full(replicates, np.nan), np.full((replicates, len(points)), np.nan)
    for replicate, counts in enumerate(poisson_weights(len(rows.scores), replicates, seed)):
        signal = np.cumsum(sides.signal_weights * counts.take(sides.signal))
        drawn = sides.background_weights * counts.take(sides.background)
        background = np.append(0.0, np.cumsum(drawn))
        if signal[-1] <= 0 or background[-1] <= 0:
            continue  # a few rows, none of them drawn: leave out this replicate
        above = np.append(0.0, signal)
        ranks = above.take(sides.signal_above) + above.take(sides.signal_from)
        auc[replicate] = (ranks @ drawn) / (2 * signal[-1] * background[-1])
        reached = first_reaching(signal.take(sides.signal_ends), points * signal[-1], rising=sides.positive)
        curve[replicate] = background.take(sides.background_from.take(reached)) / background[-1]
    count = len(targets)
    return RocBootstrap(tuple(targets), auc, curve[:, :count], curve[:, count:], seed, fingerprint(rows))


@dataclass(frozen=True, eq=False)
class _Sides:
    """Signal rows (S,) and background rows (B,), each in falling order of score, and their relative order."""

    signal: Ints
    background: Ints
    signal_weights: Floats
    background_weights: Floats
    signal_above: Ints
    """(B,) number of signal rows above each background row."""
    signal_from: Ints
    """(B,) number of signal rows at or above each background row."""
    signal_ends: Ints
    """(D,) position of the last signal row of each distinct signal score."""
    background_from: Ints
    """(D,) number of background rows at or above each distinct signal score."""
    positive: bool

    @classmethod
    def of(cls, rows: BinaryRows) -> "_Sides":
        order = np.argsort(-rows.scores, kind="stable")
        signal, background = order[rows.is_signal[order]], order[~rows.is_signal[order]]
        falling_signal, falling_background = -rows.scores[signal], -rows.scores[background]
        ends = np.append(np.flatnonzero(np.diff(falling_signal)), len(signal) - 1)
        return cls(
            signal=signal,
            background=background,
            signal_weights=rows.weights[signal],
            background_weights=rows.weights[background],
            signal_above=np.searchsorted(falling_signal, falling_background, side="left"),
            signal_from=np.searchsorted(falling_signal, falling_background, side="right"),
            signal_ends=ends,
            background_from=np.searchsorted(falling_background, falling_signal[ends], side="right"),
            positive=bool(rows.weights.min() >= 0),
        )


def fingerprint(rows: BinaryRows) -> str:
    return hashlib.sha256(rows.is_signal.tobytes() + rows.weights.tobytes()).hexdigest()[:16]
