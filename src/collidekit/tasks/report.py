"""ReportTask: everything that is known of a run, on one page."""

from pathlib import Path
from typing import Any

import law
import yaml

from collidekit.analysis.schema import Analysis
from collidekit.dataset.manifest import Manifest, read_manifest
from collidekit.evaluation.efficiency import efficiency_in_bins, quantile_edges
from collidekit.evaluation.metrics import classification_metrics
from collidekit.evaluation.plots import (
    plot_confusion_matrix,
    plot_discriminator_shapes,
    plot_efficiency,
    plot_loss_curves,
)
from collidekit.evaluation.report import ReportContent, write_report
from collidekit.evaluation.report_sections import (
    classification_section,
    data_section,
    headline,
    inputs_section,
    provenance_section,
    roc_section,
    training_section,
    working_points_section,
)
from collidekit.evaluation.working_points import DiscriminatorPoints
from collidekit.inference.predictions import Predictions
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.inference import PredictionTask
from collidekit.tasks.input_plotter import HistogramPlotterTask
from collidekit.tasks.roc import ROCCurveTask
from collidekit.tasks.working_points import WorkingPointTask


class ReportTask(PredictionTask):
    """Write one self-contained HTML page: data, ROC, shapes, working points, efficiencies, training, inputs, provenance."""

    exclude_index = False

    def requires(self) -> dict[str, AnalysisTask]:
        return {
            **super().requires(),
            "roc": ROCCurveTask.req(self),
            "working_points": WorkingPointTask.req(self),
            "inputs": HistogramPlotterTask.req(self),
        }

    def identity(self) -> dict[str, Any]:
        return {name: task.hash for name, task in self.requires().items()}

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {"report": self.target("report.html"), "run": self.target("run.json")}

    def run(self) -> None:
        needed = self.requires()
        predictions = self.predictions()
        results, points = needed["roc"].measure(), needed["working_points"].find()
        metrics = classification_metrics(predictions)
        plots = self.folder / "plots"
        plots.mkdir(parents=True, exist_ok=True)
        shapes = _shapes(plots, predictions, points, self.analysis.name)
        confusion = _png(plot_confusion_matrix(plots / "confusion", metrics.confusion, self.analysis.name))
        training = needed["inference"].requires()["training"]
        curves = _png(plot_loss_curves(plots / "loss", training.folder / "history.csv", self.analysis.name))
        roc_plots = [needed["roc"].folder / f"roc_{style}.png" for style in ("b-tagging", "top-tagging")]
        manifest = read_manifest(training.requires()["dataset"].folder)
        write_report(
            self.folder / "report.html",
            ReportContent(
                title=self.analysis.name,
                subtitle=f"{training.training_config().model_name} · dataset {self.dataset_version} · training {self.training_version}",
                headline=headline(results, metrics),
                warnings=tuple(_warnings(manifest, "test" not in needed["inference"].requires())),
                sections=(
                    roc_section(results, roc_plots),
                    classification_section(metrics, [*shapes, confusion]),
                    working_points_section(points, _efficiencies(plots, predictions, points, self.analysis)),
                    training_section([curves], _training_facts(training.folder)),
                    data_section(
                        {"evaluated": metrics.counts},
                        list(manifest.summary["cutflow"].items()),
                        self.analysis.selection or "",
                        [f"Trained on {manifest.rows:,} rows: {_counts(manifest)}."],
                    ),
                    inputs_section(needed["inputs"].plots()),
                    self._provenance_section(training),
                ),
            ),
        )
        self.say(f"[bold green]Report[/bold green]: {self.folder / 'report.html'}")
        self.write_provenance()

    def _provenance_section(self, training: Any) -> Any:
        made = training.provenance()
        configuration = yaml.safe_dump(
            {
                "analysis": self.analysis.model_dump(mode="json", exclude_defaults=True),
                "training": made["settings"]["config"],
            },
            sort_keys=False,
        )
        return provenance_section(
            configuration, made["versions"], made["git"], {"training": str(made["settings"]["config"]["seed"])}
        )


def _png(paths: list[Path]) -> Path:
    return next(path for path in paths if path.suffix == ".png")


def _counts(manifest: Manifest) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in manifest.class_counts.items())


def _thresholds(points: list[DiscriminatorPoints], name: str) -> dict[str, float]:
    """The thresholds of a discriminator, by the mistag rate they are for."""
    return {
        f"{point.target:g}": point.threshold
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
    folder: Path, predictions: Predictions, points: list[DiscriminatorPoints], analysis: Analysis
) -> list[Path]:
    """Efficiency of the loosest working point of each discriminator in each spectator."""
    plots = []
    for name in predictions.definitions:
        thresholds = _thresholds(points, name)
        for variable, values in predictions.spectators.items() if thresholds else ():
            label, threshold = next(iter(thresholds.items()))
            edges = quantile_edges(values)
            if len(edges) > 2:
                binned = efficiency_in_bins(predictions, name, threshold, variable, edges)
                text = f"{analysis.name}, mistag rate {label}"
                stem = folder / f"efficiency_{name}_{variable}"
                plots.append(_png(plot_efficiency(stem, binned, analysis.label(variable), text)))
    return plots


def _warnings(manifest: Manifest, on_validation: bool) -> list[str]:
    """What a reader must know before believing the numbers."""
    said = []
    if on_validation:
        said.append(
            "No test files were given: the numbers are of the validation rows, which also chose the best epoch and are "
            "therefore slightly too good."
        )
    if manifest.summary["negative_weights"]:
        said.append(
            f"{manifest.summary['negative_weights']:,} of {manifest.rows:,} training rows have negative weights."
        )
    for name, count in manifest.summary["replaced"].items():
        said.append(f"{count:,} values of {name} were NaN or infinite and became the default.")
    if manifest.summary["bad_files"]:
        said.append(f"{manifest.summary['bad_files']} input files could not be read and were skipped.")
    return said


def _training_facts(folder: Path) -> dict[str, str]:
    import csv

    with (folder / "history.csv").open() as file:
        epochs = list(csv.DictReader(file))
    best = min(epochs, key=lambda row: float(row["val_loss"]))
    seconds = sum(float(row["seconds"]) for row in epochs)
    return {
        "epochs": f"{len(epochs)}, best {best['epoch']}",
        "validation loss": f"{float(best['val_loss']):.4f}",
        "time in training steps": f"{seconds:,.0f} s",
        "rate": f"{sum(float(row['rows']) for row in epochs) / max(seconds, 1e-9):,.0f} rows/s",
    }
