"""Comparison of a network with boosted trees on the same rows, for the report."""

from pathlib import Path

from collidekit.dataset.loader import Dataset
from collidekit.dataset.overlap import is_loud
from collidekit.evaluation.classification.trees import TreeComparison, compare_with_trees, lost_note, sample_of, thinned
from collidekit.files import read_json
from collidekit.inference.predictions import Predictions
from collidekit.tasks.inference import InferenceTask
from collidekit.training.prepare import held_out_rows


def compare(inference: InferenceTask, predictions: Predictions) -> list[TreeComparison]:
    """Compare a training with boosted trees; empty for objectives other than classification, and with attacks."""
    if inference.checkpoint or inference.test_attack_settings.attack != "nominal" or not predictions.definitions:
        return []
    if is_loud(inference.overlap_note):  # rows of the training set of both
        return []
    config = next(iter(inference.trainings().values())).training_config()  # the first one of several folds
    if config.objective != "classification" or config.attack != "nominal":
        return []
    dataset: Dataset = inference.dataset_task().dataset()
    if inference.test_files:
        first = next(iter(inference.requires().values())) if inference.members else inference
        test_rows = sample_of(first.requires()["test"].dataset())
    elif inference.joins_folds:
        rows = thinned(iter(held_out_rows(dataset, config.split)), len(predictions) // config.folds)
        test_rows = ((batch.index.numpy(), batch) for _, batch in rows)
    else:
        test_rows = thinned(iter(held_out_rows(dataset, config.split)), len(predictions))
    return compare_with_trees(dataset, config.split, test_rows, predictions)


def known_note(folder: Path) -> str:
    """Return the warning of an existing report; empty if it has none."""
    path = folder / "trees.json"
    return lost_note([TreeComparison(**entry) for entry in read_json(path)]) if path.is_file() else ""
