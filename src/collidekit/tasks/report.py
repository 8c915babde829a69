"""ReportTask: write all results of a run on one HTML page."""

from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

import law
import luigi
import numpy as np

from collidekit.analysis.labels import without_latex
from collidekit.analysis.schema import Analysis
from collidekit.dataset.manifest import Manifest, read_manifest
from collidekit.dataset.warnings import data_warnings
from collidekit.evaluation.assignment import EVENT
from collidekit.evaluation.classification.efficiency import efficiency_in_bins, quantile_edges
from collidekit.evaluation.classification.metrics import ClassCount, classification_metrics
from collidekit.evaluation.classification.spectrum import spectrum
from collidekit.evaluation.classification.trees import lost_note
from collidekit.evaluation.classification.working_points import DiscriminatorPoints
from collidekit.evaluation.look import look
from collidekit.evaluation.numbers import percent, with_error
from collidekit.evaluation.plots import (
    plot_confusion_matrix,
    plot_discriminator_shapes,
    plot_efficiency,
    plot_points_in_bins,
    plot_spectrum,
)
from collidekit.evaluation.report.report import Block, ReportContent, Section, write_report
from collidekit.evaluation.report.sections import (
    classification_section,
    data_section,
    ensemble_section,
    headline,
    inputs_section,
    points_in_bins_blocks,
    roc_section,
    trees_section,
    working_points_section,
)
from collidekit.evaluation.residuals import Residuals
from collidekit.files import write_json
from collidekit.inference.predictions import Predictions
from collidekit.plain_text import literal
from collidekit.tasks.assignment import AssignmentTask
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.importance import ImportanceTask
from collidekit.tasks.inference import PredictionTask
from collidekit.tasks.input_plotter import HistogramPlotterTask
from collidekit.tasks.reconstruction import ReconstructionTask
from collidekit.tasks.report_calibration import calibration_part
from collidekit.tasks.report_training import data_note, process_rows, repeat_section, subtitle, trainings_section
from collidekit.tasks.report_trees import compare
from collidekit.tasks.residuals import ResidualTask
from collidekit.tasks.roc import ROCCurveTask
from collidekit.tasks.run_warnings import notes_of_run
from collidekit.tasks.titles import attack_name
from collidekit.tasks.working_points import WorkingPointTask

MOST_EDGES = 16
"""Largest number of bin edges of the kinematics that are used for efficiencies."""


class ReportTask(PredictionTask):
    """Write one self-contained HTML page: data, ROC, shapes, working points, efficiencies, training, inputs, provenance."""

    explain = luigi.BoolParameter(default=False, description="add a section on feature importance, which takes a while")
    exclude_index = False
    draws = True

    def requires(self) -> dict[str, AnalysisTask]:
        return {
            **super().requires(),
            **(
                {"roc": ROCCurveTask.req(self), "working_points": WorkingPointTask.req(self)}
                if self.analysis.classes
                else {}
            ),
            **({"residuals": ResidualTask.req(self)} if self.analysis.regressions else {}),
            **({"assignment": AssignmentTask.req(self)} if self.analysis.assignments else {}),
            **({"methods": ReconstructionTask.req(self)} if self.analysis.dilepton else {}),
            "inputs": self._inputs(),
            **({"importance": ImportanceTask.req(self)} if self.explain else {}),
        }

    def _inputs(self) -> HistogramPlotterTask:
        """Return the task that plots the inputs of the training dataset, or of the test dataset with ``--checkpoint``."""
        test = {"dataset_version": self.test_dataset_version, "filelist": self.test_files}
        task: HistogramPlotterTask = HistogramPlotterTask.req(self, **(test if self.checkpoint else {}))
        return task

    def identity(self) -> dict[str, Any]:
        return {**{name: task.hash for name, task in self.requires().items()}, "units": self.analysis.units}

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {"report": self.target("report.html"), "run": self.target("run.json")}

    def make(self) -> None:
        needed, plots = self.requires(), self.folder / "plots"
        plots.mkdir(parents=True, exist_ok=True)
        inference = needed["inference"]
        class_results = self._of_classes(plots) if self.analysis.classes else _ClassResults()
        for kind in ("assignment", "methods", "residuals"):
            if kind in needed:
                class_results.sections.append(needed[kind].section())
        if "residuals" in needed:
            class_results.sections += needed["residuals"].sections_of_uncertainties()
        for entry in needed["assignment"].read() if "assignment" in needed else ():
            if entry.what == EVENT and entry.complete:
                class_results.headline[f"efficiency of {entry.target}"] = str(entry.complete)
        class_results.headline |= _headline(needed["residuals"].read()) if "residuals" in needed else {}
        manifest = read_manifest(inference.dataset_task().folder)
        write_report(
            self.folder / "report.html",
            ReportContent(
                title=self.title,
                subtitle=subtitle(inference),
                headline=class_results.headline,
                warnings=(
                    *filter(None, (inference.overlap_note, class_results.lost)),
                    *notes_of_run(inference, needed.get("roc")),
                    *_warnings(manifest, not self.test_files and not inference.training_config().folds),
                    *self._of_attack(),
                ),
                sections=(
                    *class_results.sections,
                    *trainings_section(inference, plots),
                    data_section(
                        class_results.counts,
                        list(manifest.summary["cutflow"].items()),
                        self.analysis.selection or "",
                        [data_note(inference, manifest)],
                        process_rows(manifest, self.analysis),
                    ),
                    *(needed["importance"].sections() if self.explain else []),
                    inputs_section(needed["inputs"].plots()),
                    repeat_section(inference, self.analysis),
                ),
            ),
        )
        if class_results.lost:
            self.say(f"[bold red]{literal(class_results.lost)}[/bold red]")
        self.say(f"[bold green]Report[/bold green]: {literal(self.folder / 'report.html')}")
        self.write_provenance()

    def _of_classes(self, plots: Path) -> "_ClassResults":
        """Return ROC curves, boosted trees, shapes, calibration and working points."""
        needed, predictions = self.requires(), self.predictions()
        (results, ensembles), points = needed["roc"].measure(), needed["working_points"].find()
        metrics = classification_metrics(predictions)
        shapes = _shapes(plots, predictions, points, self.title)
        confusion = _png(plot_confusion_matrix(plots / "confusion", metrics.confusion, self.title))
        compared = compare(needed["inference"], predictions)
        write_json(self.folder / "trees.json", [one.as_dict() for one in compared])
        roc_plots = [needed["roc"].folder / f"roc_{style}.png" for style in ("b-tagging", "top-tagging")]
        sections = [
            roc_section(results, roc_plots),
            *([ensemble_section(ensembles)] if ensembles else []),
            *([trees_section([one.cells() for one in compared])] if compared else []),
            classification_section(metrics, [*shapes, confusion]),
            calibration_part(needed["inference"], plots, self.title),
            self._working_points(plots, predictions, points),
        ]
        return _ClassResults(sections, headline(results, metrics), {"evaluated": metrics.counts}, lost_note(compared))

    def _working_points(self, plots: Path, predictions: Predictions, points: list[DiscriminatorPoints]) -> Section:
        """Return thresholds and efficiencies, of all rows and in bins, and spectra before and after the cut."""
        drawn = _efficiencies(plots, predictions, points, self.analysis, self.title)
        spectra = _spectra(plots, predictions, points, self.analysis, self.title)
        section = working_points_section(points, [*drawn, *spectra])
        more = _points_in_bins(plots, self.requires()["working_points"], self.analysis, self.title)
        return replace(section, blocks=(*section.blocks, *more))

    def _of_attack(self) -> list[str]:
        """Return a warning if the test rows were attacked."""
        settings = self.test_attack_settings
        if settings.attack == "nominal":
            return []
        gradient = f"the gradient of {self.test_attack_from}" if self.test_attack_from else "its own gradient"
        return [f"The test rows were attacked: {attack_name(settings)}, with {gradient}."]


@dataclass
class _ClassResults:
    """Sections, headline numbers, counts and warnings of the classes of rows."""

    sections: list[Section] = field(default_factory=list)
    headline: dict[str, str] = field(default_factory=dict)
    counts: dict[str, tuple[ClassCount, ...]] = field(default_factory=dict)
    lost: str = ""
    """Warning that boosted trees are better than the network."""


def _headline(residuals: list[Residuals]) -> dict[str, str]:
    """Return the width of the first four values."""
    shown = (entry for entry in residuals[:4] if isfinite(entry.all.width))
    return {
        f"width, {without_latex(entry.label)}": with_error(entry.all.width, entry.all.width_error) for entry in shown
    }


def _png(paths: list[Path]) -> Path:
    return next(path for path in paths if path.suffix == ".png")


def _thresholds(points: list[DiscriminatorPoints], name: str) -> dict[str, float]:
    """Return the thresholds of a discriminator by their mistag rate or efficiency."""
    return {
        f"{'mistag rate' if point.kind == 'mistag' else 'efficiency'} {percent(point.target)}": point.threshold
        for entry in points
        if entry.discriminator == name
        for point in entry.points
        if point.threshold is not None
    }


def _shapes(folder: Path, predictions: Predictions, points: list[DiscriminatorPoints], note: str) -> list[Path]:
    return [
        _png(
            plot_discriminator_shapes(
                folder / f"shape_{name}", predictions, name, thresholds=_thresholds(points, name), note=note
            )
        )
        for name in predictions.definitions
    ]


def _efficiencies(
    folder: Path, predictions: Predictions, points: list[DiscriminatorPoints], analysis: Analysis, note: str
) -> list[Path]:
    """Plot the efficiency of the loosest working point of each discriminator against each spectator."""
    plots = []
    for name in predictions.definitions:
        thresholds = _thresholds(points, name)
        for variable, values in predictions.spectators.items() if thresholds else ():
            label, threshold = next(iter(thresholds.items()))
            edges = _edges(analysis, variable, values)
            if len(edges) > 2:
                binned = efficiency_in_bins(predictions, name, threshold, variable, edges)
                text = f"{note}, {label}"
                stem = folder / f"efficiency_{name}_{variable}"
                plots.append(_png(plot_efficiency(stem, binned, analysis.label(variable), text)))
    return plots


def _edges(analysis: Analysis, variable: str, values: Any) -> Any:
    """Return bin edges: of working points or kinematics within the range of the rows, else edges of equally filled bins."""
    given = analysis.working_point_bins.get(variable) or (
        analysis.kinematics.bins.get(variable) if analysis.kinematics else None
    )
    finite = np.asarray(values, dtype=np.float64)[np.isfinite(values)]
    if given and len(given) <= MOST_EDGES and len(finite):
        edges: Any = np.unique(np.clip(np.asarray(given, dtype=np.float64), finite.min(), finite.max()))
        if len(edges) > 2:
            return edges
    return quantile_edges(values)


def _spectra(
    folder: Path, predictions: Predictions, points: list[DiscriminatorPoints], analysis: Analysis, note: str
) -> list[Path]:
    """Plot the spectrum of each mass before and after the loosest working point of each discriminator."""
    masses = look().settings.masses
    if masses is None:
        masses = [name for name in predictions.spectators if "mass" in name.lower()]
    masses = [name for name in masses if name in predictions.spectators]  # a site names those of all its analyses
    plots = []
    for name in predictions.definitions:
        thresholds = _thresholds(points, name)
        for variable in masses if thresholds else ():
            label, threshold = next(iter(thresholds.items()))
            found = spectrum(predictions, name, threshold, variable)
            stem = folder / f"spectrum_{name}_{variable}"
            plots.append(_png(plot_spectrum(stem, found, analysis.label(variable), f"{note}, {label}")))
    return plots


def _points_in_bins(folder: Path, task: WorkingPointTask, analysis: Analysis, note: str) -> tuple[Block, ...]:
    """Return the table and plots of working points in bins; empty if the analysis has none."""
    found = task.find_in_bins()
    plots = [
        _png(
            plot_points_in_bins(
                folder / f"points_{entry.discriminator}_{entry.variable}", entry, analysis.label(entry.variable), note
            )
        )
        for entry in found
    ]
    labels = {entry.variable: without_latex(analysis.label(entry.variable)) for entry in found}
    return points_in_bins_blocks(found, labels, plots)


def _warnings(manifest: Manifest, on_validation: bool) -> list[str]:
    """Return warnings about the data."""
    warnings = []
    if on_validation:
        warnings.append(
            "No test files were given: all numbers are from the validation rows, which also chose the best epoch. They are "
            "slightly too good."
        )
    warnings += data_warnings(manifest)
    if manifest.summary["negative_weights"]:
        warnings.append(
            f"{manifest.summary['negative_weights']:,} of {manifest.rows:,} training rows have negative weights."
        )
    for name, count in manifest.summary["replaced"].items():
        warnings.append(f"{count:,} values of {name} were NaN or infinite and were replaced by the default.")
    if manifest.summary["bad_files"]:
        warnings.append(f"{manifest.summary['bad_files']} input files could not be read and were skipped.")
    return warnings
