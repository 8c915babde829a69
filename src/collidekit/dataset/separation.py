"""Features that separate classes suspiciously well on their own, which may be truth leakage.

A single feature of a jet or event normally separates worse than all others together. So each feature is compared with boosted
trees on all other features. If it is better, it is reported, and the user must decide whether it is truth. Truth is mostly
integers: indices, counts and identities of simulated particles. A measured quantity may well be the best feature, so a feature
with fractions is reported only if it separates nearly perfectly (AUC 0.95 and better than all others, or 0.99).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Ragged

Floats = NDArray[np.float64]

PERFECT = 0.99
"""From this AUC on, a feature alone is always reported."""
WORTH_ASKING = {"whole": 0.7, "fractions": 0.95}
MARGIN = 0.02
_FEWEST_ROWS = 300
_MOST_TOGETHER, _FEWEST_OTHERS = 3, 3
_TREE_ROWS = 8000
_SUMMARIES = ("mean", "max", "min", "spread")


@dataclass(frozen=True)
class Separation:
    """AUC of one feature alone between two classes; ``others`` is the AUC of trees on all features except the suspects."""

    feature: str
    summary: str
    pair: tuple[str, str]
    auc: float
    others: float | None = None

    @property
    def named(self) -> str:
        """Name of the feature, such as ``tracks.d0 (its max)`` or ``jet.mass``."""
        return f"{self.feature} (its {self.summary} in a row)" if self.summary else self.feature

    def question(self) -> str:
        text = f"{self.named} alone separates {self.pair[0]} from {self.pair[1]} with AUC {self.auc:.3f}"
        if self.others is not None:
            text += f", boosted trees on all other features together with {self.others:.3f}"
        return f"{text}. Truth leakage? Remove it from the inputs unless it is measured and not simulated truth."


def columns(analysis: Analysis) -> list[tuple[str, str]]:
    """Return feature and summary of each column of ``summaries``."""
    found = []
    for name, entry in analysis.inputs.items():
        ragged = name in analysis.collections
        found += [
            (f"{name}.{feature.name}", how) for feature in entry.features for how in (_SUMMARIES if ragged else ("",))
        ]
        if ragged:
            found.append((f"number of {name}", ""))
    return found


def summaries(batch: Batch) -> Floats:
    """Return numbers of each row (N, C): flat features, and mean, max, min, spread of constituent features."""
    parts: list[Floats] = []
    for entry in batch.inputs.values():
        if isinstance(entry, Ragged):
            parts += [_of_lists(entry), entry.counts.numpy()[:, None].astype(np.float64)]
        else:
            parts.append(entry.numpy().astype(np.float64))
    return np.concatenate(parts, axis=1)


def _of_lists(ragged: Ragged) -> Floats:
    """Return the four summaries (N, 4 F) of each feature side by side; NaN if the list is empty."""
    values, counts = ragged.values.numpy().astype(np.float64), ragged.counts.numpy()
    filled = np.flatnonzero(counts)
    result = np.full((len(counts), values.shape[1], 4), np.nan)
    if len(filled):
        starts, size = ragged.offsets.numpy()[filled], counts[filled, None]
        mean = np.add.reduceat(values, starts, axis=0) / size
        squares = np.add.reduceat(values**2, starts, axis=0) / size
        result[filled, :, 0] = mean
        result[filled, :, 1] = np.maximum.reduceat(values, starts, axis=0)
        result[filled, :, 2] = np.minimum.reduceat(values, starts, axis=0)
        result[filled, :, 3] = np.sqrt(np.maximum(squares - mean**2, 0))
    return result.reshape(len(counts), -1)


def auc(values: Floats, is_signal: NDArray[np.bool_]) -> float:
    """Return the AUC of one column (N,), in the better direction; missing values rank lowest."""
    ranks = rankdata(np.where(np.isnan(values), -np.inf, values))
    signal = int(is_signal.sum())
    area = (ranks[is_signal].sum() - signal * (signal + 1) / 2) / (signal * (len(values) - signal))
    return float(max(area, 1 - area))


def pairs(
    labels: NDArray[np.int64], classes: list[str]
) -> Iterator[tuple[tuple[str, str], NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield the names of two classes, their rows (N,), and which of these rows belong to the second class."""
    for a, b in combinations(range(len(classes)), 2):
        chosen = (labels == a) | (labels == b)
        signal = labels[chosen] == b
        if min(signal.sum(), (~signal).sum()) >= 20:
            yield (classes[b], classes[a]), chosen, signal


def best_alone(matrix: Floats, labels: NDArray[np.int64], analysis: Analysis) -> dict[str, Separation]:
    """Return for each feature the pair of classes and the summary with the best AUC of this feature alone."""
    best: dict[str, Separation] = {}
    for pair, chosen, signal in pairs(labels, list(analysis.classes)):
        for entry in _alone(matrix[chosen], signal, pair, columns(analysis)):
            if entry.feature not in best or entry.auc > best[entry.feature].auc:
                best[entry.feature] = entry
    return best


def suspicious(matrix: Floats, labels: NDArray[np.int64], analysis: Analysis) -> list[Separation]:
    """Return the suspicious features, each with the pair of classes that it separates best."""
    found: dict[str, Separation] = {}
    for pair, chosen, signal in pairs(labels, list(analysis.classes)):
        for entry in _suspects(matrix[chosen], signal, pair, columns(analysis)):
            if entry.feature not in found or entry.auc > found[entry.feature].auc:
                found[entry.feature] = entry
    return sorted(found.values(), key=lambda entry: -entry.auc)


def _alone(
    matrix: Floats, signal: NDArray[np.bool_], pair: tuple[str, str], names: list[tuple[str, str]]
) -> list[Separation]:
    """Return the best summary of each feature, with the best feature first."""
    best: dict[str, Separation] = {}
    for (feature, summary), values in zip(names, matrix.T, strict=True):
        entry = Separation(feature, summary, pair, auc(values, signal))
        if feature not in best or entry.auc > best[feature].auc:
            best[feature] = entry
    return sorted(best.values(), key=lambda entry: -entry.auc)


def _suspects(
    matrix: Floats, signal: NDArray[np.bool_], pair: tuple[str, str], names: list[tuple[str, str]]
) -> list[Separation]:
    """Return the one, two or three best features if the weakest of them is better than trees on all others."""
    alone = _alone(matrix, signal, pair, names)
    if perfect := [entry for entry in alone if entry.auc >= PERFECT]:
        return perfect
    rows = min(int(signal.sum()), int((~signal).sum()))
    whole = _whole(matrix, names)
    asked = [e for e in alone if e.auc >= WORTH_ASKING["whole" if e.feature in whole else "fractions"]]
    for together in range(1, min(_MOST_TOGETHER, len(asked)) + 1):
        suspects = asked[:together]
        if len(alone) - together < _FEWEST_OTHERS or rows < _FEWEST_ROWS:
            break
        left_out = {entry.feature for entry in suspects}
        others = trees_auc(matrix[:, [name not in left_out for name, _ in names]], signal)
        weakest = suspects[-1].auc
        if weakest > others + max(MARGIN, 2 * float(np.sqrt(weakest * (1 - weakest) / rows))):
            return [Separation(s.feature, s.summary, s.pair, s.auc, others) for s in suspects]
    return []


def _whole(matrix: Floats, names: list[tuple[str, str]]) -> set[str]:
    """Return the features with integers only; the number of constituents is never suspicious."""
    fractions = {
        feature
        for (feature, how), values in zip(names, matrix.T, strict=True)
        if how in ("", "max", "min") and not np.equal(np.mod(values[np.isfinite(values)], 1), 0).all()
    }
    return {feature for feature, _ in names if feature not in fractions and not feature.startswith("number of ")}


def fit_trees(matrix: Floats, labels: NDArray[Any], weights: Floats | None = None) -> Any:
    """Return boosted trees trained to separate classes from all columns (N, C)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, min_samples_leaf=20, random_state=0)
    with threadpool_limits(1):  # for so few rows, more threads only wait for each other
        return trees.fit(np.where(np.isfinite(matrix), matrix, np.nan), labels, weights)


def trees_auc(matrix: Floats, signal: NDArray[np.bool_]) -> float:
    """Return the AUC of boosted trees on all columns (N, C), by two-fold cross-validation."""
    order: NDArray[Any] = np.random.default_rng(0).permutation(len(signal))[:_TREE_ROWS]
    matrix, signal = matrix[order], signal[order]
    half = np.arange(len(signal)) % 2 == 0
    scores = np.zeros(len(signal))
    for train in (half, ~half):
        scores[~train] = fit_trees(matrix[train], signal[train]).predict_proba(matrix[~train])[:, 1]
    return float(np.mean([auc(scores[part], signal[part]) for part in (half, ~half)]))
