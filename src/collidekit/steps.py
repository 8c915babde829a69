"""Training and prediction in one call each, for scripts and notebooks."""

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
    """Train on a dataset with the settings of ``TrainingConfig``, and return the kept model.

    Other settings have the values of the analysis file, or their defaults. Checkpoints and ``history.csv`` are written
    into ``folder``. With ``show``, one line per epoch is printed. ``track`` lists trackers, such as ``["mlflow"]``.
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
    """Predict the rows of a dataset, or the selected rows of files.

    ``model`` is a checkpoint, its file or folder, or the name of a bundled model. Files are read with the analysis of
    ``plan``, by default with the analysis of the model. Rows of the training set are an error, unless
    ``allow_training_rows`` is true.
    """
    checkpoint = model if isinstance(model, Checkpoint) else load_checkpoint(model)
    if isinstance(rows, Dataset):
        check_same_inputs(checkpoint.path, checkpoint.analysis, rows.analysis)
        return predict_dataset(checkpoint, rows, allow_training_rows=allow_training_rows)
    if plan is not None:
        check_same_inputs(checkpoint.path, checkpoint.analysis, plan.analysis)
    return predict_files(checkpoint, plan or checkpoint.plan(), rows, allow_training_rows=allow_training_rows)[0]
