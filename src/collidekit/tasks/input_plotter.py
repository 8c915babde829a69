"""InputHistogrammerTask and HistogramPlotterTask: plot the inputs of each class before and after weighting."""

from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import law
import luigi
import numpy as np

from collidekit.analysis.features import Feature
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.loader import Dataset, Loader
from collidekit.evaluation.plots import plot_input
from collidekit.evaluation.report.input_histograms import HistogramAxis, InputHistograms, bins_for
from collidekit.plain_text import literal
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.dataset import DatasetConstructorTask, DatasetParameters
from collidekit.training.weighting import Reweighting

FEW_NUMBERS = 20
"""Largest range of integers that is shown completely."""


class InputHistogrammerTask(DatasetParameters):
    """Fill histograms of every input and class, with event weights only and after weighting to the reference class."""

    bins = luigi.IntParameter(
        default=50, description="largest number of bins of a continuous feature; small samples get fewer"
    )
    exclude_index = False

    def requires(self) -> dict[str, AnalysisTask]:
        return {"dataset": DatasetConstructorTask.req(self)}

    def identity(self) -> dict[str, Any]:
        return {"dataset": self.requires()["dataset"].hash, "bins": self.bins}

    def versions_in_path(self) -> list[str]:
        return [str(self.dataset_version)]

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {"histograms": self.target("histograms.npz"), "run": self.target("run.json")}

    def make(self) -> None:
        dataset = self.requires()["dataset"].dataset()
        histogram_inputs(dataset, self.bins).save(self.folder / "histograms.npz")
        self.say(f"[bold]Histogrammed[/bold] the inputs of {len(dataset):,} rows")
        self.write_provenance()


class HistogramPlotterTask(InputHistogrammerTask):
    """Draw the histograms of every input, with the ratio to the reference class."""

    exclude_index = False
    draws = True

    def requires(self) -> dict[str, AnalysisTask]:
        return {"histograms": InputHistogrammerTask.req(self)}

    def identity(self) -> dict[str, Any]:
        return {"histograms": self.requires()["histograms"].hash}

    def output(self) -> dict[str, law.LocalFileTarget]:
        plots = {name: f"{name.replace('.', '_')}.png" for name, _ in _features(self)}
        return {**{key: self.target(file) for key, file in plots.items()}, "run": self.target("run.json")}

    def make(self) -> None:
        histograms = InputHistograms.load(self.requires()["histograms"].folder / "histograms.npz")
        reference = self.analysis.kinematics.reference if self.analysis.kinematics else ""
        for name, feature in _features(self):
            found = histograms[name]
            shown = replace(found, axis=replace(found.axis, label=self.analysis.axis(feature)))
            plot_input(self.folder / name.replace(".", "_"), shown, reference, self.analysis.name)
        self.say(f"[bold]Inputs drawn[/bold] in {literal(self.folder)}")
        self.write_provenance()

    def plots(self) -> list[Path]:
        return [self.folder / f"{name.replace('.', '_')}.png" for name, _ in _features(self)]


def _features(task: AnalysisTask) -> Iterator[tuple[str, Feature]]:
    """Yield ``input.feature`` and the feature, in the order of the analysis."""
    for name, entry in task.analysis.inputs.items():
        for feature in entry.features:
            yield f"{name}.{feature.name}", feature


def histogram_inputs(dataset: Dataset, bins: int = 50) -> InputHistograms:
    """Fill histograms of all rows of a dataset, with at most ``bins`` bins, fewer if a class has few entries.

    The range of a feature is its bounds within the range of values, else its central 99 %; for few integers all values.
    """
    analysis, reweighting = dataset.analysis, Reweighting.of(dataset.manifest)
    rows = min((count for count in dataset.manifest.class_counts.values() if count), default=len(dataset))
    axes: dict[str, HistogramAxis] = {}
    for name, entry in analysis.inputs.items():
        found = dataset.manifest.summary["statistics"][name]
        for feature in entry.features:
            low, high, bounds = _range(feature, found[feature.name])
            number = bins_for(round(found[feature.name]["count"] * rows / max(len(dataset), 1)), bins)
            axes[f"{name}.{feature.name}"] = HistogramAxis.of_feature(
                feature, low, high, number, analysis.axis(feature), bounds
            )
    histograms = InputHistograms(list(analysis.classes) or ["all rows"], axes)
    for batch in Loader(dataset, 8192):
        before = batch.weights.numpy().astype(np.float64)
        after = before * reweighting(batch) if reweighting else before
        _fill(histograms, batch, before, after)
    return histograms


def _range(feature: Feature, found: dict[str, Any]) -> tuple[float, float, tuple[float | None, float | None]]:
    """Return the ends of an axis, and the bounds to which values were clipped."""
    low, high = (found["percentiles"][p] for p in ("0.5", "99.5"))
    if not found["count"]:
        return low, high, (None, None)
    smallest, largest = found["low"], found["high"]
    if feature.kind != "continuous" and largest - smallest <= FEW_NUMBERS:
        low, high = smallest, largest
    if not feature.bounds:
        return low, high, (None, None)
    first, last = feature.bounds
    low, high = (max(first, smallest) if isfinite(first) else low, min(last, largest) if isfinite(last) else high)
    return low, high, (first if first >= smallest else None, last if last <= largest else None)


def _fill(histograms: InputHistograms, batch: Batch, before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> None:
    labels = batch.labels.numpy() if histograms.classes != ("all rows",) else np.zeros(len(batch), dtype=np.int64)
    for name, entry in batch.inputs.items():
        rows = entry.rows.numpy() if isinstance(entry, Ragged) else np.arange(len(batch))
        values = (entry.values if isinstance(entry, Ragged) else entry).numpy()
        columns = [key for key in histograms.axes if key.startswith(f"{name}.")]
        for i, key in enumerate(columns):
            histograms.fill(key, values[:, i], labels[rows], before[rows], after[rows])
