"""Feature importance of a sample, by permutation and by gradients, with one line for each feature."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.means import weighted_mean
from collidekit.evaluation.importance.gradients import Baseline, NoGradientError, attribute
from collidekit.evaluation.importance.items import Item, Score, items, whole_inputs
from collidekit.evaluation.importance.permutation import Drop, PermutationResult, permutation_importance
from collidekit.files import plain
from collidekit.models.tagger import Tagger
from collidekit.progress import counting
from collidekit.sealed import read_as

Floats = NDArray[np.float64]
ROUNDING = 1e-12
"""Minimum drop of AUC."""


@dataclass(frozen=True)
class Attribution:
    """Attribution of a feature, summed over the constituents of each row: mean absolute value and mean, with errors."""

    size: float
    size_error: float
    mean: float
    mean_error: float


@dataclass(frozen=True)
class FeatureImportance:
    """Importance of one feature, four-momentum, pair of coordinates or whole input; None if a method does not apply."""

    input: str
    name: str
    label: str
    whole: bool
    drop: Drop | None
    attribution: Attribution | None


@dataclass(frozen=True)
class SampleImportance:
    """Importance for one score. ``features`` are those that the network uses, ``unused`` the labels of the others."""

    score: str
    label: str
    rows: int
    auc: float | None
    auc_error: float | None
    features: tuple[FeatureImportance, ...]
    unused: tuple[str, ...]
    completeness: float | None
    """Median over rows of |sum of attributions - score difference|, over the mean of |score difference|."""

    @property
    def drop_title(self) -> str:
        """Return the label of the drop of a feature, for tables and axes."""
        return f"drop of AUC, {self.score}"

    def as_dict(self) -> dict[str, Any]:
        content: dict[str, Any] = plain(asdict(self))
        return content

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "SampleImportance":
        """Return the object that is stored in JSON."""
        return read_as(cls, content)


def sample_importance(
    tagger: Tagger,
    analysis: Analysis,
    batches: Sequence[Batch],
    scores: Sequence[Score],
    repeats: int = 3,
    steps: int = 32,
    baseline: Baseline = "mean",
    seed: int = 0,
) -> tuple[list[SampleImportance], list[str]]:
    """Return the importance for each score, and the reasons why a method was left out."""
    single, whole = items(analysis), whole_inputs(analysis) if len(analysis.inputs) > 1 else []
    wanted, notes = [*whole, *single], []
    rows = sum(map(len, batches))
    found: list[PermutationResult | None] = [None] * len(scores)
    if reason := _missing_truth(batches, scores):
        notes.append(f"no permutation importance: {reason}")
    else:
        with counting("Permuting", "rows", rows * (1 + repeats * len(wanted))) as done:
            found = list(permutation_importance(tagger, batches, wanted, scores, repeats, seed, done))
    results: list[SampleImportance] = []
    with counting("Integrating gradients", "rows", rows * len(scores)) as done:
        for score, permutation in zip(scores, found, strict=True):
            try:
                values, changes, gaps = attribute(tagger, batches, score, wanted, steps, baseline, done)
            except NoGradientError as error:
                notes = [*notes, f"no gradients: {error}"] if not results else notes
                values, changes, gaps = None, np.zeros(rows), None
            weights = np.concatenate([batch.weights.numpy() for batch in batches]).astype(np.float64)
            results.append(_result(score, wanted, rows, permutation, values, changes, gaps, weights))
    if not any(result.features for result in results):
        raise CollidekitError(f"no importance can be measured: {'; '.join(notes)}")
    return results, notes


def _missing_truth(batches: Sequence[Batch], scores: Sequence[Score]) -> str:
    """Return the reason why there is no AUC, or an empty text."""
    labels = np.concatenate([batch.labels.numpy() for batch in batches])
    for score in scores:
        for side, classes in (("signal", score.signal), ("background", score.background)):
            if not np.isin(labels, classes).any():
                return f"these rows hold no {side} of {score.name} whose truth is known"
    return ""


def _result(
    score: Score,
    wanted: Sequence[Item],
    rows: int,
    permutation: PermutationResult | None,
    values: Floats | None,
    changes: Floats,
    gaps: Floats | None,
    weights: Floats,
) -> SampleImportance:
    features, unused = [], []
    for i, item in enumerate(wanted):
        drop = permutation.drops[i] if permutation else None
        attribution = None if values is None else _attribution(values[:, i], weights)
        if (drop is None or abs(drop.value) + drop.error < ROUNDING) and (attribution is None or attribution.size == 0):
            unused.append(item.label)
        else:
            features.append(FeatureImportance(item.input, item.name, item.label, item.whole, drop, attribution))
    missing = None
    if gaps is not None and (scale := float(np.abs(changes).mean())) > 0:
        missing = float(np.median(np.abs(gaps)) / scale)
    auc, error = (permutation.auc, permutation.auc_error) if permutation else (None, None)
    return SampleImportance(score.name, score.label, rows, auc, error, tuple(features), tuple(unused), missing)


def _attribution(values: Floats, weights: Floats) -> Attribution:
    counted = weights if weights.sum() > 0 else np.ones(len(values))
    return Attribution(*weighted_mean(np.abs(values), counted), *weighted_mean(values, counted))
