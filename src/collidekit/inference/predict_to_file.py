"""A checkpoint and files -> a file of predictions: what ``collidekit predict`` does."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError
from collidekit.inference.predict import output_suffix, predict_files
from collidekit.inference.predictions import Predictions
from collidekit.progress import counting
from collidekit.shipped import find_analysis
from collidekit.training.checkpoint import check_same_inputs, load_checkpoint


@dataclass(frozen=True)
class Predicted:
    """What was written, how long it took and what was left out."""

    path: Path
    predictions: Predictions
    seconds: float
    skipped: list[str]

    @property
    def rate(self) -> float:
        return len(self.predictions) / max(self.seconds, 1e-9)

    def discriminators_with_truth(self) -> list[str]:
        """Those for which the files hold rows of both sides."""
        return [name for name in self.predictions.definitions if len(np.unique(self.predictions.task(name)[1])) == 2]


def checkpoint_file(path: Path) -> Path:
    """A checkpoint, or the best one in the folder of a training."""
    if not path.is_dir():
        return path
    if (path / "best_model.pt").is_file():
        return path / "best_model.pt"
    raise CollidekitError(
        f"{path}: is a folder without best_model.pt; give a checkpoint or the folder of a TrainingTask"
    )


def predict_to_file(
    checkpoint: Path,
    files: Sequence[str],
    output: Path,
    analysis: str | None = None,
    batch_size: int = 1024,
    skip_bad_files: bool = False,
    threads: int | None = None,
) -> Predicted:
    """Predict all selected rows of files, with the analysis of the checkpoint or one that has the same inputs."""
    output_suffix(output)
    if output.is_dir():
        raise CollidekitError(f"{output}: is a folder; name a file to write")
    checkpoint = checkpoint_file(checkpoint)
    loaded = load_checkpoint(checkpoint)
    plan = Plan(loaded.analysis)
    if analysis is not None:
        plan = Plan(*read_analysis(find_analysis(analysis)))
        check_same_inputs(checkpoint, loaded.analysis, plan.analysis)
    if threads:
        torch.set_num_threads(threads)
    begun = time.monotonic()
    with counting("Predicting", "rows") as done:
        predictions, skipped = predict_files(loaded, plan, files, batch_size, skip_bad_files, done)
    seconds = time.monotonic() - begun
    predictions.write(output)
    return Predicted(output, predictions, seconds, skipped)
