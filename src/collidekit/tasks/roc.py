"""ROCCurveTask: predictions -> ROC curves, AUC and rejections with errors."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import law
import luigi
from rich.console import Console
from rich.table import Table

from collidekit.errors import CollidekitError
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots import plot_roc
from collidekit.evaluation.rejection import Rejection
from collidekit.evaluation.roc_result import RocResult, measure_discriminator, write_rocs
from collidekit.files import replacing
from collidekit.tasks.inference import PredictionTask


class ROCCurveTask(PredictionTask):
    """Draw the ROC curve of each discriminator; AUC and 1/eB with errors as table, JSON and CSV."""

    replicates = luigi.IntParameter(default=200, description="bootstrap replicates for the errors")
    exclude_index = False

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "replicates": self.replicates}

    def output(self) -> dict[str, law.LocalFileTarget]:
        names = {"roc": "roc.json", "table": "roc.csv", "run": "run.json"}
        plots = {
            f"{style}_{suffix}": f"roc_{style}.{suffix}"
            for style in ("b-tagging", "top-tagging")
            for suffix in ("png", "pdf")
        }
        return {key: self.target(name) for key, name in {**names, **plots}.items()}

    def measure(self) -> list[RocResult]:
        """The ROC of each discriminator, from the predictions."""
        predictions = self.predictions()
        if not predictions.definitions:
            raise CollidekitError(f"{self.config}: names no discriminators, so there is no ROC curve to draw; add some")
        return [
            measure_discriminator(predictions, name, replicates=self.replicates) for name in predictions.definitions
        ]

    def run(self) -> None:
        results = self.measure()
        write_rocs(self.folder / "roc.json", results)
        write_table(self.folder / "roc.csv", results)
        for result in results:
            result.write_csv(self.folder / f"curve_{result.name}.csv")
        plot_roc(self.folder / "roc_b-tagging", results, "b-tagging", self.analysis.name)
        plot_roc(self.folder / "roc_top-tagging", results, "top-tagging", self.analysis.name)
        Console().print(roc_table(results, self.analysis.name))
        self.say(f"ROC curves: {self.folder / 'roc_b-tagging.png'}")
        self.write_provenance()


class Quoted(Protocol):
    """What a line of the table needs: a ``RocResult``, or a ``RocLine`` read back from JSON."""

    @property
    def name(self) -> str: ...
    @property
    def auc(self) -> float: ...
    @property
    def auc_error(self) -> float: ...
    @property
    def rejections(self) -> tuple[Rejection, ...]: ...


@dataclass(frozen=True)
class RocLine:
    """The quoted numbers of one discriminator."""

    name: str
    auc: float
    auc_error: float
    rejections: tuple[Rejection, ...]


def roc_table(results: Sequence[Quoted], title: str = "") -> Table:
    """AUC and rejections with errors, as a person reads them: one line for each discriminator and signal efficiency."""
    table = Table(title=title or None, title_justify="left")
    table.add_column("discriminator")
    for name in ("AUC", "εS", "1/εB", "background left"):
        table.add_column(name, justify="right")
    for result in results:
        for i, r in enumerate(result.rejections):
            first = (result.name, with_error(result.auc, result.auc_error)) if i == 0 else ("", "")
            table.add_row(
                *first, f"{r.signal_efficiency:g}", str(r), f"{r.surviving:,}", end_section=r is result.rejections[-1]
            )
    return table


def write_table(path: Path, results: list[RocResult]) -> None:
    """The table as CSV; an empty cell where no background survives."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["discriminator", "signal_efficiency", "rejection", "rejection_error", "surviving", "auc", "auc_error"]
        )
        for result in results:
            for r in result.rejections:
                writer.writerow(
                    [result.name, r.signal_efficiency, r.value, r.error, r.surviving, result.auc, result.auc_error]
                )
