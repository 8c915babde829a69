"""One look at the training rows before the first step: the scaling, the mean weight, the number of steps."""

from dataclasses import dataclass

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.split import missed_share
from collidekit.dataset.statistics import Statistics, merge_statistics, statistics
from collidekit.errors import CollidekitError
from collidekit.training.config import TrainingConfig
from collidekit.training.weighting import Reweighting, Weighting


@dataclass(frozen=True)
class Prepared:
    """Loaders of both parts, weights of rows in the loss, statistics of the training rows."""

    training: Loader
    validation: Loader
    weighting: Weighting
    """Of training rows."""
    validation_weighting: Weighting
    """Of validation rows: what sampling does to the training rows, weights do to these."""
    statistics: Statistics
    rows: int
    """Training rows in an epoch, as expected after sampling."""
    validation_rows: int
    warnings: tuple[str, ...] = ()
    """What is unusual about the rows of this training."""


def prepare(dataset: Dataset, config: TrainingConfig, threads: int = 1) -> Prepared:
    """Split, weights and statistics of a training; an error where a part or a class is empty."""
    analysis = dataset.analysis
    reweighting = Reweighting.of(dataset.manifest)
    in_loss = reweighting if config.loss_weighting else None
    keep = None if config.loss_weighting else reweighting
    share = config.train_val_split
    found: Statistics | None = None
    raw = Weighting(in_loss)
    total, rows, expected = 0.0, 0, 0.0
    counts, sums = np.zeros(len(analysis.classes), dtype=np.int64), np.zeros(len(analysis.classes))
    for batch in Loader(dataset, 8192, "training", share, threads=threads):
        found = _merge(found, batch, analysis)
        probability = keep(batch) if keep else np.ones(len(batch))
        weights = raw(batch).numpy() * probability
        total += float(np.abs(weights).sum())
        expected += float(probability.sum())
        rows += len(batch)
        counts += np.bincount(batch.labels.numpy(), minlength=len(counts))
        sums += np.bincount(batch.labels.numpy(), weights, minlength=len(sums))
    others = len(dataset) - rows
    if found is None or not others:
        part = "validation" if found is not None else "training"
        raise CollidekitError(
            f"{dataset.manifest.folder}: with train-val-split {share:g} none of the {len(dataset)} rows is in the {part} "
            "part; give more rows or another share"
        )
    for name, count in zip(analysis.classes, counts, strict=True):
        if not count:
            raise CollidekitError(f"{dataset.manifest.folder}: no row of class {name!r} is in the training part")
    mean = total / expected
    if mean <= 0:
        raise CollidekitError(f"{dataset.manifest.folder}: the weights of the training rows are all zero")
    for name, weight in zip(analysis.classes, sums, strict=True):
        if weight <= 0:
            raise CollidekitError(
                f"{dataset.manifest.folder}: the weights of class {name!r} in the training part sum to {weight:g}: it must "
                "be more than 0"
            )
    warnings = [missed_share(rows, len(dataset), share, float(dataset.manifest.summary.get("key_squares", 0)))]
    loader = Loader(dataset, config.batch_size, "training", share, True, config.seed, keep, threads)
    validation = validation_rows(dataset, share, threads)
    validated = Weighting(reweighting, total / rows)
    return Prepared(
        loader,
        validation,
        Weighting(in_loss, mean),
        validated,
        found,
        round(expected),
        others,
        tuple(filter(None, warnings)),
    )


def validation_rows(dataset: Dataset, share: float, threads: int = 1) -> Loader:
    """The rows that a training with this share did not learn from, in order."""
    return Loader(dataset, 1024, "validation", share, threads=threads)


def _merge(found: Statistics | None, batch: Batch, analysis: Analysis) -> Statistics:
    return merge_statistics(found, statistics(batch, analysis))
