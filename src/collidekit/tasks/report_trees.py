"""What the report says of a network beside the boosted trees of ``check``, on the same rows."""

from pathlib import Path

from collidekit.dataset.loader import Dataset
from collidekit.dataset.overlap import is_loud
from collidekit.evaluation.classification.trees import TreeComparison, compare_with_trees, lost_note, sample_of, thinned
from collidekit.files import read_json
from collidekit.inference.predictions import Predictions
from collidekit.tasks.inference import InferenceTask
from collidekit.training.prepare import held_out_rows


def compare(inference: InferenceTask, predictions: Predictions) -> list[TreeComparison]:
    """Of a training that has nothing but classes to learn; none where it has, or where attacked rows are judged."""
    if inference.checkpoint or inference.test_attack_settings.attack != "nominal" or not predictions.definitions:
        return []
    if is_loud(inference.overlap_note):  # on rows that both have learned from
        return []
    config = next(iter(inference.trainings().values())).training_config()  # of several folds the first
    if config.objective != "classification" or config.attack != "nominal":
        return []
    dataset: Dataset = inference.dataset_task().dataset()
    if inference.test_files:
        first = next(iter(inference.requires().values())) if inference.members else inference
        judged = sample_of(first.requires()["test"].dataset())
    elif inference.joins_folds:
        rows = thinned(iter(held_out_rows(dataset, config.split)), len(predictions) // config.folds)
        judged = ((batch.index.numpy(), batch) for _, batch in rows)
    else:
        judged = thinned(iter(held_out_rows(dataset, config.split)), len(predictions))
    return compare_with_trees(dataset, config.split, judged, predictions)


def known_note(folder: Path) -> str:
    """The warning of a report that was made before; empty where there was none."""
    path = folder / "trees.json"
    return lost_note([TreeComparison(**entry) for entry in read_json(path)]) if path.is_file() else ""
