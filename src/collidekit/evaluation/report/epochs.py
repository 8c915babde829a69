"""Evaluation of the checkpoints of a training, one for each epoch, on rows that were not used in it."""

from pathlib import Path

import numpy as np
import torch

from collidekit.dataset.loader import Dataset, Loader
from collidekit.evaluation.rows import Floats
from collidekit.objectives.base import Objective
from collidekit.objectives.build import build_objective
from collidekit.progress import counting
from collidekit.training.checkpoint import Checkpoint, load_checkpoint
from collidekit.training.weighting import Reweighting, Weighting

MOST = 20
"""Maximum number of evaluated epochs, including the first and the last."""
ROWS = 1024


def evaluate_epochs(folder: Path, trained_on: Dataset, dataset: Dataset, most: int = MOST) -> dict[str, Floats]:
    """Return ``epoch`` (E,), ``loss``, ``accuracy`` and, for objectives of significance, ``significance`` on all rows of a dataset.

    ``folder`` is the folder of a training. At most ``most`` of its epochs are evaluated, with the weights of the validation.
    The result is empty if no checkpoint of an epoch is left.
    """
    paths = sorted(folder.glob("model_*.pt"), key=_epoch)
    if not paths:
        return {}
    paths = [paths[index] for index in np.unique(np.linspace(0, len(paths) - 1, most).astype(int))]
    trained = load_checkpoint(paths[-1])
    raw = Weighting(Reweighting.of(trained_on.manifest))
    mean = sum(float(raw(batch).sum()) for batch in Loader(dataset, ROWS)) / len(dataset)
    weighting = Weighting(raw.reweighting, mean)
    objective = build_objective(trained.config, trained.analysis)
    objective.begin((batch, weighting(batch)) for batch in Loader(dataset, ROWS))
    columns: dict[str, list[float]] = {}
    with counting("Evaluating epochs", "epochs", len(paths)) as done:
        for path in paths:
            found = _evaluate(load_checkpoint(path), objective, weighting, dataset)
            for name, value in {"epoch": float(_epoch(path)), **found}.items():
                columns.setdefault(name, []).append(value)
            done(1)
    return {name: np.array(values) for name, values in columns.items()}


def _epoch(checkpoint: Path) -> int:
    return int(checkpoint.stem.removeprefix("model_"))


@torch.inference_mode()
def _evaluate(checkpoint: Checkpoint, objective: Objective, weighting: Weighting, dataset: Dataset) -> dict[str, float]:
    """Return the numbers for all rows, with the averaged weights if the checkpoint has them."""
    if average := checkpoint.state.get("average"):
        checkpoint.tagger.load_state_dict(average)
    validation, right, weight = objective.validation(), 0.0, 0.0
    for batch in Loader(dataset, ROWS):
        weights, outputs = weighting(batch), checkpoint.tagger(batch)
        validation.add(outputs, batch, weights)
        right += float(((outputs.argmax(dim=1) == batch.labels) * weights).sum())
        weight += float(weights.sum())
    return {"loss": validation.loss(), "accuracy": right / weight, **validation.scores()}
