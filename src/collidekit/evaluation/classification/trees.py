"""Comparison of a network with boosted trees on the same rows: a network that is worse is not well trained."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Block, Dataset
from collidekit.dataset.parts import RowSplit
from collidekit.dataset.separation import fit_trees, summaries
from collidekit.errors import CollidekitError
from collidekit.evaluation.importance.permutation import auc_with_influence
from collidekit.evaluation.look import discriminator_text
from collidekit.evaluation.numbers import with_error
from collidekit.inference.predictions import Predictions
from collidekit.training.weighting import Reweighting

ROWS = 10_000
"""Maximum number of rows for the training of trees, and for the comparison."""
FEWEST = 300
"""Minimum number of rows on each side of a discriminator for a comparison."""
SIGMAS = 3.0
_BLOCKS = 64
"""Number of parts of a dataset from which the rows are taken."""

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class TreeComparison:
    """AUC of a network and of trees in one discriminator, and the error of their difference on the same rows."""

    discriminator: str
    network: float
    trees: float
    error: float
    rows: int
    learned_from: int

    @property
    def lost(self) -> bool:
        """Return whether the trees are better by more than SIGMAS errors."""
        return self.trees - self.network > SIGMAS * self.error

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def cells(self) -> tuple[str, ...]:
        """Return discriminator, both AUCs, and the difference with its error, for a table."""
        difference = with_error(self.network - self.trees, self.error)
        return discriminator_text(self.discriminator), f"{self.network:.4f}", f"{self.trees:.4f}", difference


def lost_note(compared: Sequence[TreeComparison]) -> str:
    """Return a warning with the discriminators in which trees are clearly better; empty if there are none."""
    lost = [one for one in compared if one.lost]
    if not lost:
        return ""
    said = "; ".join(
        f"{one.discriminator} has AUC {one.network:.3f}, the trees {one.trees:.3f} "
        f"(difference {with_error(one.trees - one.network, one.error)})"
        for one in lost
    )
    return (
        f"THE NETWORK LOSES TO BOOSTED TREES on the same {lost[0].rows:,} rows: {said}. The trees learned from "
        f"{lost[0].learned_from:,} rows and know only summaries of the constituents, so the network is not well trained: "
        "check its inputs with `collidekit check`, the loss curves, the epochs and the learning rate"
    )


def compare_with_trees(
    dataset: Dataset, split: RowSplit, tested: Iterator[tuple[Positions, Batch]], predictions: Predictions
) -> list[TreeComparison]:
    """Train trees on training rows of a dataset, and compare them with predictions on test rows.

    ``tested`` yields batches with the positions of their rows in the predictions. Discriminators with few rows are left out.
    """
    learned = [_training_rows(batch, split) for _, batch in sample_of(dataset)]
    reweighting = Reweighting.of(dataset.manifest)
    weights = np.concatenate([_weights(batch, reweighting) for batch in learned])
    labels = np.concatenate([batch.labels.numpy() for batch in learned])
    found = [(place, batch.labels.numpy(), summaries(batch)) for place, batch in tested]
    if not found:
        return []
    places, truth, matrix = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not np.array_equal(truth, predictions.labels[places]):
        raise CollidekitError(
            "the rows of the test dataset differ from those of the predictions; remove both and run again"
        )
    network = _rows_of(predictions, places, predictions.probabilities[places])
    names = [name for name in network.discriminators_with_truth() if _enough(network, name, labels)]
    if not names:
        return []
    fitted = fit_trees(np.concatenate([summaries(batch) for batch in learned]), labels, weights)
    trees = _rows_of(predictions, places, _probabilities(fitted, matrix, len(predictions.classes)))
    return [_compare(name, network, trees, len(labels)) for name in names]


def sample_of(dataset: Dataset, rows: int = ROWS) -> Iterator[tuple[Positions, Batch]]:
    """Yield some rows of a dataset, from parts all over it, and their positions."""
    random = np.random.default_rng(0)
    chosen: list[Block] = [dataset.blocks[i] for i in random.permutation(len(dataset.blocks))[:_BLOCKS]]
    share = min(1.0, rows / max(sum(block.rows for block in chosen), 1))
    for block in sorted(chosen, key=lambda block: block.first):
        take = np.flatnonzero(random.random(block.rows) < share)
        if len(take):
            yield block.first + take, dataset.read(block).take(torch.from_numpy(take))


def thinned(batches: Iterator[Batch], total: int, rows: int = ROWS) -> Iterator[tuple[Positions, Batch]]:
    """Yield some of all rows, in order, and their positions."""
    random, first, share = np.random.default_rng(0), 0, min(1.0, rows / max(total, 1))
    for batch in batches:
        take = np.flatnonzero(random.random(len(batch)) < share)
        if len(take):
            yield first + take, batch.take(torch.from_numpy(take))
        first += len(batch)


def _training_rows(batch: Batch, split: RowSplit) -> Batch:
    keep = (batch.labels.numpy() >= 0) & split.rows(batch.keys.numpy(), "training", batch.event)
    return batch.take(torch.from_numpy(np.flatnonzero(keep)))


def _weights(batch: Batch, reweighting: Reweighting | None) -> NDArray[np.float64]:
    """Return the weight of each row (N,) in the training, with 0 for negative weights."""
    weights = batch.weights.numpy().astype(np.float64)
    return np.maximum(weights if reweighting is None else weights * reweighting(batch), 0)


def _rows_of(predictions: Predictions, places: Positions, probabilities: NDArray[Any]) -> Predictions:
    return Predictions(
        predictions.classes,
        probabilities,
        predictions.labels[places],
        predictions.weights[places],
        predictions.definitions,
    )


def _enough(tested: Predictions, name: str, learned: NDArray[np.int64]) -> bool:
    """Return whether both sides of a discriminator have enough rows for training and comparison."""
    definition = tested.definitions[name]
    sides = [[tested.classes.index(c) for c in side] for side in (definition.signal, definition.background)]
    return all(min(np.isin(labels, side).sum() for side in sides) >= FEWEST for labels in (tested.labels, learned))


def _probabilities(trees: Any, matrix: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Return probabilities (N, K), with 0 for a class that is not in the training rows of the trees."""
    found = np.zeros((len(matrix), classes))
    found[:, trees.classes_] = trees.predict_proba(matrix)
    return found


def _compare(name: str, network: Predictions, trees: Predictions, learned_from: int) -> TreeComparison:
    scores, truth, weights = network.task(name)
    mine, ours = auc_with_influence(scores, truth, weights)
    other, theirs = auc_with_influence(trees.task(name)[0], truth, weights)
    error = float(np.sqrt(((ours - theirs) ** 2).sum()))
    return TreeComparison(name, mine, other, error, len(truth), learned_from)
