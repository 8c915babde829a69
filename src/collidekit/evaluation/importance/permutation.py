"""Permutation importance: the loss of AUC if the values of a feature are shuffled among constituents or rows.

Breiman, Machine Learning 45 (2001) 5, sec. 10. The distribution of the values stays the same, but they belong to the wrong constituents.
Features with the same information can replace one another: each may seem useless, but not all of them together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from attrs import evolve
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from collidekit.dataset.batch import Batch, Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.evaluation.importance.items import Item, Score, values_of
from collidekit.evaluation.rows import BinaryRows, binary_rows
from collidekit.models.tagger import Tagger

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drop:
    """AUC before minus after; the error contains the (paired) error from the rows and the error from the permutations."""

    value: float
    error: float
    error_rows: float
    error_permutations: float


@dataclass(frozen=True)
class PermutationResult:
    """Result for one score: its AUC with error, and the drop of each item."""

    score: str
    auc: float
    auc_error: float
    drops: tuple[Drop, ...]


def permutation_importance(
    tagger: Tagger,
    batches: Sequence[Batch],
    wanted: Sequence[Item],
    scores: Sequence[Score],
    repeats: int = 3,
    seed: int = 0,
    done: Callable[[int], None] = lambda rows: None,
) -> list[PermutationResult]:
    """Return the result of each score, on the rows of its classes. Each item is permuted ``repeats`` times within each batch.

    ``done`` is called after each batch with the number of predicted rows.
    """
    if repeats < 2:
        raise CollidekitError(f"--repeats: {repeats} permutation has no spread; use at least 2")
    tagger.eval()
    generator = torch.Generator().manual_seed(seed)
    labels = np.concatenate([batch.labels.numpy() for batch in batches])
    weights = np.concatenate([batch.weights.numpy() for batch in batches])

    def evaluated(change: Callable[[Batch], Batch]) -> list[tuple[float, Floats]]:
        outputs = _outputs(tagger, batches, change, done)
        return [_auc_of(score, outputs, labels, weights) for score in scores]

    before = evaluated(lambda batch: batch)
    drops: list[list[Drop]] = [[] for _ in scores]
    for item in wanted:
        after = [evaluated(lambda batch, item=item: permuted(batch, item, generator)) for _ in range(repeats)]  # type: ignore[misc]
        for k in range(len(scores)):
            drops[k].append(drop_of(before[k], [found[k] for found in after]))
    return [
        PermutationResult(score.name, auc, float(np.sqrt((influence**2).sum())), tuple(found))
        for score, (auc, influence), found in zip(scores, before, drops, strict=True)
    ]


def permuted(batch: Batch, item: Item, generator: torch.Generator) -> Batch:
    """Return a batch with the columns of an item shuffled: among all constituents of the batch, or among rows.

    A whole input is shuffled by rows: a row gets all constituents of another one.
    """
    entry = batch.inputs[item.input]
    if item.whole:
        order = torch.randperm(len(batch), generator=generator)
        return _with(batch, item.input, entry.take(order) if isinstance(entry, Ragged) else entry[order])
    values = values_of(entry).clone()
    order = torch.randperm(len(values), generator=generator)
    values[:, item.columns] = values[order][:, item.columns]
    return _with(batch, item.input, evolve(entry, data=values) if isinstance(entry, Ragged) else values)


def _with(batch: Batch, name: str, entry: Input) -> Batch:
    return evolve(batch, inputs={**batch.inputs, name: entry})


@torch.inference_mode()
def _outputs(
    tagger: Tagger, batches: Sequence[Batch], change: Callable[[Batch], Batch], done: Callable[[int], None]
) -> Tensor:
    outputs = []
    for batch in batches:
        outputs.append(tagger.outputs(tagger.scaling(change(batch).inputs)))
        done(len(batch))
    return torch.cat(outputs)


def _auc_of(score: Score, outputs: Tensor, labels: NDArray[np.int64], weights: Floats) -> tuple[float, Floats]:
    signal = np.isin(labels, score.signal)
    chosen = signal | np.isin(labels, score.background)
    values = score.log_odds(outputs).double().numpy()
    return auc_with_influence(values[chosen], signal[chosen], weights[chosen])


def auc_with_influence(scores: ArrayLike, is_signal: ArrayLike, weights: ArrayLike) -> tuple[float, Floats]:
    """Return the AUC (ties count half) and the influence (N,) of each row on it; the sum of squared influences is the variance.

    DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988) 837, for weighted rows. The variance of a difference on the same
    rows follows from the difference of the influences.
    """
    rows = binary_rows(scores, is_signal, weights)
    above = _share_below(rows, rows.is_signal)  # for a signal row: background below it
    below = _share_below(rows, ~rows.is_signal)  # for a background row: signal below it
    signal, background = (rows.weights * side for side in (rows.is_signal, ~rows.is_signal))
    auc = float(signal @ above / signal.sum())
    influence = signal * (above - auc) / signal.sum() + background * ((1 - below) - auc) / background.sum()
    return auc, influence


def _share_below(rows: BinaryRows, of: NDArray[np.bool_]) -> Floats:
    """Return, for the rows ``of`` one side, the weight fraction of the other side below them (ties half), (N,); 0 for others."""
    other = np.sort(rows.scores[~of])
    order = np.argsort(rows.scores[~of], kind="stable")
    sums = np.append(0.0, np.cumsum(rows.weights[~of][order]))
    left, right = (np.searchsorted(other, rows.scores, side=side) for side in ("left", "right"))
    shares = (sums[left] + sums[right]) / (2 * sums[-1])
    return np.where(of, shares, 0.0)


def drop_of(before: tuple[float, Floats], after: Sequence[tuple[float, Floats]]) -> Drop:
    """Return the mean drop of a figure over permutations; each figure is given with the influence (N,) of every row."""
    values = np.array([before[0] - auc for auc, _ in after])
    change = before[1] - np.mean([influence for _, influence in after], axis=0)
    rows = float(np.sqrt((change**2).sum()))
    permutations = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Drop(float(values.mean()), float(np.hypot(rows, permutations)), rows, permutations)
