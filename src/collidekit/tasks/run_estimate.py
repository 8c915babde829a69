"""Estimate of a run before it starts: rows, time, memory and disk."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from collidekit.dataset.check_estimate import disk_of_row, memory_of_rows, show_duration, show_size
from collidekit.dataset.look import FIRST, MOST_OPENED, spread
from collidekit.dataset.manifest import read_manifest
from collidekit.errors import CollidekitError
from collidekit.readers import open_file
from collidekit.shown import counted
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.report import ReportTask
from collidekit.tasks.training import TrainingTask
from collidekit.training.history import read_history
from collidekit.training.trial_steps import try_steps

STATES = 4
"""Copies of the parameters in a checkpoint: weights, two moments of the optimizer, and the running mean."""


@dataclass(frozen=True)
class RunEstimate:
    """Rows per epoch, trainings, epochs per training, rows/s, total seconds, bytes in memory and on disk."""

    rows: int
    trainings: int
    epochs: int
    rate: float
    seconds: float
    memory: float
    disk: float
    done: int = 0
    """Finished epochs of interrupted trainings, which are not in the time."""

    def __str__(self) -> str:
        several = f"{self.trainings} trainings of " if self.trainings > 1 else ""
        done = f" ({self.done:,} of {self.trainings * self.epochs:,} are done)" if self.done else ""
        return (
            f"Estimate: {several}{counted(self.epochs, 'epoch')}{done} of about {self.rows:,} rows, about "
            f"{show_duration(self.seconds)} of training ({self.rate:,.0f} rows/s in a trial), "
            f"{show_size(self.memory)} of memory, {show_size(self.disk)} on disk"
        )


def estimate_run(task: ReportTask) -> RunEstimate | None:
    """Return an estimate of the trainings of a report; None without trainings, or if there is no estimate.

    Rows and disk are extrapolated from the first entries of the files, the time from a few steps with these rows.
    """
    missing = [training for training in InferenceTask.req(task).trainings().values() if not training.complete()]
    if not missing:
        return None
    training: TrainingTask = missing[0]
    dataset: DatasetConstructorTask = training.requires()["dataset"]
    try:
        sample = dataset.first_rows
        if sample is None or not len(sample):
            return None
        exists = dataset.complete()
        rows = read_manifest(dataset.folder).rows if exists else round(_entries(dataset) * _kept(dataset))
        config = training.training_config()
        threads = torch.get_num_threads()
        torch.set_num_threads(max(1, min(training.n_threads, os.cpu_count() or 1)))
        try:
            trial = try_steps(config, task.analysis, sample)
        finally:
            torch.set_num_threads(threads)
    except (CollidekitError, OSError, RuntimeError, ValueError):
        return None  # the run itself reports the error
    share = config.split.share
    used = 1.0 if not config.folds else 0.5 if config.folds == 2 else 1 - 1 / config.folds
    training_rows = round(rows * share)
    epochs = max(config.epochs, -(-config.min_steps * config.batch_size // max(training_rows, 1)))
    validation_rows = rows * (used - share)
    done = sum(min(_finished(one), epochs) for one in missing)
    seconds = (len(missing) * epochs - done) * (training_rows + validation_rows / 3) / max(trial.rate, 1e-9)
    disk = len(missing) * (epochs + 2) * STATES * 4.0 * trial.parameters
    disk += 0.0 if exists else disk_of_row(sample, task.analysis) * rows
    return RunEstimate(
        training_rows,
        len(missing),
        epochs,
        trial.rate,
        seconds,
        trial.memory + memory_of_rows(sample, rows),
        disk,
        done,
    )


def _finished(training: TrainingTask) -> int:
    """Return the number of finished epochs from which a training continues."""
    if not training.resume_training:
        return 0
    try:
        epochs = len(read_history(training.place / "history.csv"))
    except CollidekitError:
        return 0  # the training itself reports the error
    return min(epochs, training.resume_epoch) if training.resume_epoch else epochs


def _entries(dataset: DatasetConstructorTask) -> float:
    """Return the estimated number of entries of all files, from some of them."""
    paths = dataset.files()
    opened = spread(paths, MOST_OPENED)
    return sum(_length(dataset, path) for path in opened) * len(paths) / len(opened)


def _length(dataset: DatasetConstructorTask, path: str) -> int:
    with open_file(path, dataset.analysis.source) as reader:
        return int(reader.rows)


def _kept(dataset: DatasetConstructorTask) -> float:
    """Return the number of rows per entry, from the first entries of the first file with rows."""
    sample = dataset.first_rows
    assert sample is not None
    path: Sequence[str] = spread(dataset.files(), MOST_OPENED)
    entries = min(FIRST, _length(dataset, path[int(sample.source[0, 0])]))
    return len(sample) / max(entries, 1)
