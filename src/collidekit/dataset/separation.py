"""Features that separate classes suspiciously well on their own: a question about truth leakage, honestly asked.

Any one feature of a jet or event knows less than all others together. So a feature alone is compared with boosted trees
on all the others; where it wins, it is named, and a person has to say whether it is truth. Truth is mostly whole numbers:
indices, counts and identities of simulated particles. A measured quantity may well be the best one, so that a feature with
fractions is named only if it separates nearly perfectly (AUC 0.95 and better than all others, or 0.99).
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
"""With this AUC a feature alone is named in any case."""
WORTH_ASKING = {"whole": 0.7, "fractions": 0.95}
MARGIN = 0.02
_FEWEST_ROWS = 300
_MOST_TOGETHER, _FEWEST_OTHERS = 3, 3
_TREE_ROWS = 8000
_SUMMARIES = ("mean", "max", "min", "spread")


@dataclass(frozen=True)
class Separation:
    """How well one feature alone tells two classes apart; ``others`` is the AUC of trees on all features but the suspects."""

    feature: str
    summary: str
    pair: tuple[str, str]
    auc: float
    others: float | None = None

    @property
    def named(self) -> str:
        """``tracks.d0 (its max)``, ``jet.mass``."""
        return f"{self.feature} (its {self.summary} in a row)" if self.summary else self.feature

    def question(self) -> str:
        text = f"{self.named} alone separates {self.pair[0]} from {self.pair[1]} with AUC {self.auc:.3f}"
        if self.others is not None:
            text += f", boosted trees on all other features together with {self.others:.3f}"
        return f"{text}. Truth leakage? Take it out of the inputs unless it is measured and not simulated truth."


def columns(analysis: Analysis) -> list[tuple[str, str]]:
    """Feature and summary of each column of ``summaries``."""
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
    """One row of numbers for each row (N, C): flat features, and mean, max, min, spread of those of constituents."""
    parts: list[Floats] = []
    for entry in batch.inputs.values():
        if isinstance(entry, Ragged):
            parts += [_of_lists(entry), entry.counts.numpy()[:, None].astype(np.float64)]
        else:
            parts.append(entry.numpy().astype(np.float64))
    return np.concatenate(parts, axis=1)


def _of_lists(ragged: Ragged) -> Floats:
    """(N, 4 F): the four summaries of each feature side by side; NaN where the list is empty."""
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
    """Of one column (N,), in whichever direction is better; missing values rank lowest."""
    ranks = rankdata(np.where(np.isnan(values), -np.inf, values))
    signal = int(is_signal.sum())
    area = (ranks[is_signal].sum() - signal * (signal + 1) / 2) / (signal * (len(values) - signal))
    return float(max(area, 1 - area))


def pairs(
    labels: NDArray[np.int64], classes: list[str]
) -> Iterator[tuple[tuple[str, str], NDArray[np.bool_], NDArray[np.bool_]]]:
    """Names of two classes, which rows (N,) are of them, and which of these are of the second one."""
    for a, b in combinations(range(len(classes)), 2):
        chosen = (labels == a) | (labels == b)
        signal = labels[chosen] == b
        if min(signal.sum(), (~signal).sum()) >= 20:
            yield (classes[b], classes[a]), chosen, signal


def best_alone(matrix: Floats, labels: NDArray[np.int64], analysis: Analysis) -> dict[str, Separation]:
    """For each feature the pair of classes and the summary in which it alone is best."""
    best: dict[str, Separation] = {}
    for pair, chosen, signal in pairs(labels, list(analysis.classes)):
        for entry in _alone(matrix[chosen], signal, pair, columns(analysis)):
            if entry.feature not in best or entry.auc > best[entry.feature].auc:
                best[entry.feature] = entry
    return best


def suspicious(matrix: Floats, labels: NDArray[np.int64], analysis: Analysis) -> list[Separation]:
    """The features to ask about, each with the pair of classes that gives it away most clearly."""
    found: dict[str, Separation] = {}
    for pair, chosen, signal in pairs(labels, list(analysis.classes)):
        for entry in _suspects(matrix[chosen], signal, pair, columns(analysis)):
            if entry.feature not in found or entry.auc > found[entry.feature].auc:
                found[entry.feature] = entry
    return sorted(found.values(), key=lambda entry: -entry.auc)


def _alone(
    matrix: Floats, signal: NDArray[np.bool_], pair: tuple[str, str], names: list[tuple[str, str]]
) -> list[Separation]:
    """The best summary of each feature, the best feature first."""
    best: dict[str, Separation] = {}
    for (feature, summary), values in zip(names, matrix.T, strict=True):
        entry = Separation(feature, summary, pair, auc(values, signal))
        if feature not in best or entry.auc > best[feature].auc:
            best[feature] = entry
    return sorted(best.values(), key=lambda entry: -entry.auc)


def _suspects(
    matrix: Floats, signal: NDArray[np.bool_], pair: tuple[str, str], names: list[tuple[str, str]]
) -> list[Separation]:
    """The one, two or three best features to ask about, if the weakest of them beats trees on all others."""
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
    """Features that hold whole numbers only; the number of constituents is not one to ask about."""
    fractions = {
        feature
        for (feature, how), values in zip(names, matrix.T, strict=True)
        if how in ("", "max", "min") and not np.equal(np.mod(values[np.isfinite(values)], 1), 0).all()
    }
    return {feature for feature, _ in names if feature not in fractions and not feature.startswith("number of ")}


def fit_trees(matrix: Floats, labels: NDArray[Any], weights: Floats | None = None) -> Any:
    """Boosted trees that have learned classes from all columns (N, C)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, min_samples_leaf=20, random_state=0)
    with threadpool_limits(1):  # more threads wait for each other on so few rows
        return trees.fit(np.where(np.isfinite(matrix), matrix, np.nan), labels, weights)


def trees_auc(matrix: Floats, signal: NDArray[np.bool_]) -> float:
    """AUC of boosted trees on all columns (N, C), by two-fold cross-validation."""
    order: NDArray[Any] = np.random.default_rng(0).permutation(len(signal))[:_TREE_ROWS]
    matrix, signal = matrix[order], signal[order]
    half = np.arange(len(signal)) % 2 == 0
    scores = np.zeros(len(signal))
    for train in (half, ~half):
        scores[~train] = fit_trees(matrix[train], signal[train]).predict_proba(matrix[~train])[:, 1]
    return float(np.mean([auc(scores[part], signal[part]) for part in (half, ~half)]))
