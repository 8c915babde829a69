"""The steps of an analysis in one call each, for scripts and notebooks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.analysis.scope import Plan
from collidekit.dataset.loader import Dataset
from collidekit.inference.predict import predict_dataset, predict_files
from collidekit.inference.predictions import Predictions
from collidekit.tracking.base import Tracking
from collidekit.tracking.registry import find_trackers
from collidekit.training.checkpoint import Checkpoint, load_checkpoint
from collidekit.training.choice import training_config
from collidekit.training.display import Display
from collidekit.training.loop import Training


def train(
    dataset: Dataset, folder: str | Path, *, show: bool = True, track: Sequence[str] = (), **settings: Any
) -> Checkpoint:
    """Train on a dataset with the settings of ``TrainingConfig``, and return the model that is kept.

    A setting that is not given is as the analysis file recommends. ``show`` prints a line an epoch. Checkpoints and
    ``history.csv`` are written into the folder. ``track`` names who else records the training, such as ``["mlflow"]``.
    """
    config = training_config(Plan(dataset.analysis), settings)
    tracking = Tracking(tuple(track))
    find_trackers(tracking)
    return load_checkpoint(Training(config, dataset, Path(folder), Display(shown=show), tracking=tracking).run())


def predict(
    model: Checkpoint | str | Path,
    rows: Dataset | str | Sequence[str],
    plan: Plan | None = None,
    *,
    allow_training_rows: bool = False,
) -> Predictions:
    """Predictions of a model for the rows of a dataset, or for the selected rows of files.

    ``model`` is a checkpoint, its file or folder, or the name of a model that ships. Files are read as ``plan`` says, by
    default as the model's own analysis does. Rows that it was trained on are an error, unless ``allow_training_rows``.
    """
    checkpoint = model if isinstance(model, Checkpoint) else load_checkpoint(model)
    if isinstance(rows, Dataset):
        check_same_inputs(checkpoint.path, checkpoint.analysis, rows.analysis)
        return predict_dataset(checkpoint, rows, allow_training_rows=allow_training_rows)
    if plan is not None:
        check_same_inputs(checkpoint.path, checkpoint.analysis, plan.analysis)
    return predict_files(checkpoint, plan or checkpoint.plan(), rows, allow_training_rows=allow_training_rows)[0]
