"""ROCCurveTask: predictions -> ROC curves, AUC and rejections with errors."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import law
import luigi
from rich.console import Console
from rich.table import Table

from collidekit.evaluation.classification.rejection import Rejection
from collidekit.evaluation.classification.roc_result import RocResult, measure_discriminator, write_rocs
from collidekit.evaluation.ensemble import EnsembleResult, measure_members
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots import plot_roc
from collidekit.files import replacing
from collidekit.inference.predictions import Predictions
from collidekit.plain_text import literal
from collidekit.progress import counting
from collidekit.tasks.inference import PredictionTask, require_discriminators
from collidekit.tasks.titles import attack_name


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

    def look_first(self) -> None:
        require_discriminators(self)

    def measure(self) -> tuple[list[RocResult], list[EnsembleResult]]:
        """The ROC of each discriminator, from the predictions; of an ensemble also each member's."""
        return measure_all(self.predictions(), self.replicates)

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
        self.say(f"ROC curves: {literal(self.folder / 'roc_b-tagging.png')}")
        self.write_provenance()


def measure_all(
    predictions: Predictions,
    replicates: int = 200,
    names: Sequence[str] | None = None,
    members: Mapping[str, Predictions] | None = None,
) -> tuple[list[RocResult], list[EnsembleResult]]:
    """The ROC of each discriminator (or of those that are named), and the members of an ensemble beside it.

    The members are those that were kept in the predictions, unless they are given.
    """
    names = list(predictions.definitions) if names is None else names
    members = predictions.of_members() if members is None else members
    with counting("Measuring", "curves", len(names) * (1 + len(members))) as done:
        results = []
        for name in names:
            results.append(measure_discriminator(predictions, name, replicates=replicates))
            done(1)
        ensembles = [measure_members(members, result, predictions.combination, done) for result in results if members]
    return results, ensembles


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


def roc_table(results: Sequence[Quoted], title: str = "") -> Table:
    """AUC and rejections with errors, as a person reads them: one line for each discriminator and signal efficiency."""
    table = Table(title=literal(title) or None, title_justify="left")
    table.add_column("discriminator")
    for name in ("AUC", "εS", "1/εB", "background left"):
        table.add_column(name, justify="right")
    for result in results:
        for i, r in enumerate(result.rejections):
            first = (literal(result.name), with_error(result.auc, result.auc_error)) if i == 0 else ("", "")
            table.add_row(
                *first, f"{r.signal_efficiency:g}", str(r), f"{r.surviving:,}", end_section=r is result.rejections[-1]
            )
    return table


def ensemble_table(result: EnsembleResult) -> Table:
    """AUC and rejections of each member, their mean and spread, and the ensemble."""
    table = Table()
    for number, name in enumerate(result.header()):
        table.add_column(name.replace(" (", "\n("), justify="right" if number else "left")
    rows = result.rows()
    for number, row in enumerate(rows, 1):
        table.add_row(*map(literal, row), end_section=number in (len(result.members), len(result.members) + 1))
    return table


def write_table(path: Path, results: list[RocResult], attack: str = "") -> None:
    """The table as CSV; an empty cell where no background survives. Of attacked rows, the last column names the attack."""
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
