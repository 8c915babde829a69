"""One pass over the training set before the first step: scaling, mean weight, number of steps."""

from dataclasses import dataclass

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.parts import RowSplit
from collidekit.dataset.split import missed_share
from collidekit.dataset.statistics import Statistics, merge_statistics, statistics
from collidekit.errors import CollidekitError
from collidekit.training.config import TrainingConfig
from collidekit.training.truth import Array, KnownValues
from collidekit.training.weighting import Reweighting, Weighting


@dataclass(frozen=True)
class Prepared:
    """Loaders of training and validation set, weights of rows in the loss, statistics of the training set."""

    training: Loader
    validation: Loader
    weighting: Weighting
    """Weights of training rows."""
    validation_weighting: Weighting
    """Weights of validation rows: they include the factor that sampling applies to the training rows."""
    statistics: Statistics
    rows: int
    """Expected number of training rows of an epoch, after sampling."""
    validation_rows: int
    truth: dict[str, Array]
    """Known values (N, V) of each target of rows, from the first million training rows."""
    warnings: tuple[str, ...] = ()
    """Warnings about the rows of this training."""


def prepare(dataset: Dataset, config: TrainingConfig, threads: int = 1) -> Prepared:
    """Return split, weights and statistics of a training; raise an error if a part or a class is empty."""
    analysis = dataset.analysis
    reweighting = Reweighting.of(dataset.manifest)
    in_loss = reweighting if config.loss_weighting else None
    keep = None if config.loss_weighting else reweighting
    split = config.split
    found: Statistics | None = None
    raw = Weighting(in_loss)
    total, rows, expected, signed = 0.0, 0, 0.0, 0.0
    counts, sums = np.zeros(len(analysis.classes), dtype=np.int64), np.zeros(len(analysis.classes))
    truth = KnownValues(dataset)
    for batch in Loader(dataset, 8192, split, "training", threads=threads):
        truth.add(batch)
        found = _merge(found, batch, analysis)
        probability = keep(batch) if keep else np.ones(len(batch))
        weights = raw(batch).numpy() * probability
        total += float(np.abs(weights).sum())
        signed += float(weights.sum(dtype=np.float64))
        expected += float(probability.sum())
        rows += len(batch)
        if analysis.classes:
            counts += np.bincount(batch.labels.numpy(), minlength=len(counts))
            sums += np.bincount(batch.labels.numpy(), weights, minlength=len(sums))
    validated = _check_parts(dataset, split, rows)
    assert found is not None
    for name, count in zip(analysis.classes, counts, strict=True):
        if not count:
            raise CollidekitError(f"{dataset.manifest.folder}: no row of class {name!r} is in the training set")
    mean = total / expected
    if mean <= 0:
        raise CollidekitError(f"{dataset.manifest.folder}: the weights of the training rows are all zero")
    if not analysis.classes and signed <= 0:
        raise CollidekitError(
            f"{dataset.manifest.folder}: the weights of the training rows sum to {signed:g}: it must be more than 0"
        )
    for name, weight in zip(analysis.classes, sums, strict=True):
        if weight <= 0:
            raise CollidekitError(
                f"{dataset.manifest.folder}: the weights of class {name!r} in the training set sum to {weight:g}: it must "
                "be more than 0"
            )
    warnings = [missed_share(rows, len(dataset), split, float(dataset.manifest.summary.get("key_squares", 0)))]
    loader = Loader(dataset, config.batch_size, split, "training", True, config.seed, keep, threads)
    validation = validation_rows(dataset, split, threads)
    values = truth.values(validation)
    warnings += truth.constant(values)
    return Prepared(
        loader,
        validation,
        Weighting(in_loss, mean),
        Weighting(reweighting, total / rows),
        found,
        round(expected),
        validated,
        values,
        tuple(filter(None, warnings)),
    )


def validation_rows(dataset: Dataset, split: RowSplit, threads: int = 1) -> Loader:
    """Return the validation set of a training, in order."""
    return Loader(dataset, 1024, split, "validation", threads=threads)


def held_out_rows(dataset: Dataset, split: RowSplit, threads: int = 1) -> Loader:
    """Return the rows to evaluate a training without test files: its fold, else its validation set."""
    return Loader(dataset, 1024, split, split.held_out, threads=threads)


def _check_parts(dataset: Dataset, split: RowSplit, training: int) -> int:
    """Return the number of validation rows; raise an error if a part of the split is empty."""
    rows = {"training": training, "validation": len(dataset) - training}
    if "test" in split.parts:
        keys, event = dataset.column("key"), dataset.event_number
        rows |= {part: int(split.rows(keys, part, event).sum()) for part in ("validation", "test")}
    if empty := next((part for part in split.parts if not rows[part]), ""):
        raise CollidekitError(
            f"{dataset.manifest.folder}: with {split.setting.replace('_', '-')} none of the {len(dataset)} rows is in the "
            f"{empty} part; give more rows or {'fewer folds' if 'test' in split.parts else 'another fraction'}"
        )
    return rows["validation"]


def _merge(found: Statistics | None, batch: Batch, analysis: Analysis) -> Statistics:
    return merge_statistics(found, statistics(batch, analysis))
