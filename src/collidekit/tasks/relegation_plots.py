"""Plots of the decisions of a network and of its training."""

import csv
from pathlib import Path

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.dataset.loader import Dataset
from collidekit.evaluation.plots import plot_boundary, plot_confusion_relegated, plot_significance_epochs
from collidekit.evaluation.report.epochs import evaluate_epochs
from collidekit.evaluation.significance.evaluate import SignificanceEvaluator
from collidekit.objectives.registry import objective_of
from collidekit.sealed import as_written
from collidekit.tasks.training import TrainingTask

CELLS = 120
PARTS = {"train": "training", "val": "validation"}


def plot_decisions(
    folder: Path, name: str, judge: SignificanceEvaluator, chosen: np.ndarray, analysis: Analysis, note: str
) -> None:
    """Plot the confusion matrix with relegated rows, and, with two inputs that are also spectators, the decision regions.

    ``chosen`` rows get their most probable signal class. Other rows are relegated, or get their most probable
    background class.
    """
    predictions = judge.predictions
    p, signal = predictions.probabilities, judge.of_signal
    others = np.where(judge.relegated(), len(signal), np.where(signal, -1.0, p).argmax(axis=1))
    decided = np.where(chosen, np.where(signal, p, -1.0).argmax(axis=1), others)
    matrix = np.zeros((len(predictions.classes), len(predictions.classes) + 1))
    known = predictions.labels >= 0
    np.add.at(matrix, (predictions.labels[known], decided[known]), predictions.weights[known])
    matrix /= matrix.sum(axis=1, keepdims=True)
    plot_confusion_relegated(folder / f"confusion_{name}", matrix, list(predictions.classes), note=note)
    features = [feature.name for entry in analysis.groups.values() for feature in entry.features]
    if analysis.collections or len(features) != 2 or not set(features) <= set(predictions.spectators):
        return
    points = np.stack([predictions.spectators[name] for name in features], axis=1)
    x, y, regions = _regions(points, decided)
    labels = (analysis.label(features[0]), analysis.label(features[1]))
    plot_boundary(
        folder / f"boundary_{name}", points, predictions.labels, list(predictions.classes), x, y, regions, labels,
        note=note,
    )  # fmt: skip


def _regions(points: np.ndarray, decided: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the centres (G,), (H,) of a grid over the points, and the decision (H, G) of the nearest row of each cell."""
    from scipy.spatial import cKDTree

    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (np.linspace(a, b, CELLS) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    _, nearest = cKDTree(points).query(grid)
    return x, y, decided[nearest].reshape(CELLS, CELLS)


def plot_epochs(stem: Path, training: TrainingTask, test: Dataset, note: str) -> None:
    """Plot loss, accuracy and, if the objective uses it, significance of all sets against epochs."""
    path = training.folder / "history.csv"
    with as_written(path), path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
        epochs = np.array([float(row["epoch"]) for row in rows])
    measured = evaluate_epochs(training.folder, training.requires()["dataset"].dataset(), test)
    panels = []
    for name in ("loss", "accuracy", "significance"):
        curves = [
            (title, epochs, np.array([float(row[f"{part}_{name}"]) for row in rows]))
            for part, title in PARTS.items() if rows[0].get(f"{part}_{name}")
        ]  # fmt: skip
        if name == "loss" and not objective_of(training.training_config().objective, training.analysis).losses_compare:
            panels.append(("loss of batches", curves[:1]))
            curves = curves[1:]
        if name in measured:
            curves.append(("test", measured["epoch"], measured[name]))
        if curves:
            panels.append((name, curves))
    plot_significance_epochs(stem, panels, note=note)
