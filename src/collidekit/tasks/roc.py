"""ROCCurveTask: compute ROC curves, AUC and rejections with errors from predictions."""

import csv
import shutil
from pathlib import Path
from typing import Any

import law
import luigi
from rich.console import Console

from collidekit.evaluation.classification.roc_result import RocResult, write_rocs
from collidekit.evaluation.ensemble import EnsembleResult
from collidekit.evaluation.look import Look
from collidekit.evaluation.plots import plot_roc
from collidekit.evaluation.terminal_roc import terminal_roc
from collidekit.files import replacing
from collidekit.plain_text import literal, without_controls
from collidekit.tasks.inference import PredictionTask, require_discriminators
from collidekit.tasks.tables import ensemble_table, measure_all, roc_table
from collidekit.tasks.titles import attack_name


class ROCCurveTask(PredictionTask):
    """Draw the ROC curve of each discriminator, and write AUC and 1/εB with errors as table, JSON and CSV."""

    _printed = False
    replicates = luigi.IntParameter(default=200, description="number of bootstrap replicates")
    terminal_plot = luigi.BoolParameter(
        default=False,
        significant=False,
        description="print the ROC curves as text, also if they exist already",
    )
    exclude_index = False
    draws = True

    def complete(self) -> bool:
        """Return whether the output exists; if so, print the plot when the command is this task."""
        there = super().complete()
        if there and self.terminal_plot and law.parser.root_task() is self:
            self._print_terminal_plot(self.measure()[0])
        return there

    def _print_terminal_plot(self, results: list[RocResult]) -> None:
        """Print the curves as text, only once."""
        if not self._printed:
            self._printed = True
            print(without_controls(terminal_roc(results, min(shutil.get_terminal_size().columns, 120))), flush=True)

    def identity(self) -> dict[str, Any]:
        chosen = self.analysis.efficiencies
        return {
            **super().identity(),
            "replicates": self.replicates,
            **({"efficiencies": chosen} if chosen else {}),
        }

    def output(self) -> dict[str, law.LocalFileTarget]:
        names = {"roc": "roc.json", "table": "roc.csv", "run": "run.json"}
        plots = {
            f"{style}_{suffix}": f"roc_{style}.{suffix}"
            for style in ("b-tagging", "top-tagging")
            for suffix in ("png", *Look.of(self.analysis).settings.other_formats)
        }
        return {key: self.target(name) for key, name in {**names, **plots}.items()}

    def look_first(self) -> None:
        require_discriminators(self)

    def measure(self) -> tuple[list[RocResult], list[EnsembleResult]]:
        """Return the ROC of each discriminator, and for an ensemble those of its members."""
        return measure_all(self.predictions(), self.replicates, efficiencies=self.analysis.efficiencies)

    def make(self) -> None:
        results, ensembles = self.measure()
        attack = attack_name(self.test_attack_settings)
        write_rocs(self.folder / "roc.json", results, [ensemble.as_dict() for ensemble in ensembles], attack)
        write_table(self.folder / "roc.csv", results, attack)
        for result in results:
            result.write_csv(self.folder / f"curve_{result.name}.csv")
        plot_roc(self.folder / "roc_b-tagging", results, "b-tagging", self.title)
        plot_roc(self.folder / "roc_top-tagging", results, "top-tagging", self.title)
        console = Console()
        console.print(roc_table(results, self.title))
        for ensemble in ensembles:
            console.print(ensemble_table(ensemble))
        if self.terminal_plot:
            self._print_terminal_plot(results)
        self.say(f"ROC curves: {literal(self.folder / 'roc_b-tagging.png')}")
        self.write_provenance()


def write_table(path: Path, results: list[RocResult], attack: str = "") -> None:
    """Write the table as CSV, with empty cells without surviving background, and a last column for an attack."""
    more = {"attack": attack} if attack else {}
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "discriminator",
                "signal_efficiency",
                "rejection",
                "rejection_error",
                "surviving",
                "auc",
                "auc_error",
                *more,
            ]
        )
        for result in results:
            for r in result.rejections:
                numbers = (r.signal_efficiency, r.value, r.error, r.surviving, result.auc, result.auc_error)
                writer.writerow([result.name, *numbers, *more.values()])
