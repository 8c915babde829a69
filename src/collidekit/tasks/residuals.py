"""ResidualTask: measure differences of estimated and true values from predictions."""

import csv
from pathlib import Path
from typing import Any

import law
import numpy as np
from rich.console import Console

from collidekit.errors import CollidekitError
from collidekit.evaluation.plots import plot_estimates, plot_pit, plot_residuals, plot_resolution
from collidekit.evaluation.report.report import Pictures, Section
from collidekit.evaluation.report.report import Table as Cells
from collidekit.evaluation.residuals import HEADER, Residuals, measure_residuals
from collidekit.evaluation.uncertainties import (
    DENSITY_HEADER,
    LogDensity,
    Spreads,
    measure_densities,
    measure_uncertainties,
)
from collidekit.evaluation.uncertainties import HEADER as SPREAD_HEADER
from collidekit.files import replacing
from collidekit.plain_text import literal
from collidekit.sealed import as_written, read_sealed, write_sealed
from collidekit.tasks.inference import PredictionTask
from collidekit.tasks.tables import residual_table, uncertainty_tables
from collidekit.tasks.titles import attack_name

NOTE = (
    "Residuals are estimate minus truth, for rows with known truth. Bias: weighted mean. Width: half the range of the 16th to "
    "84th percentile. Of the truth: standard deviation of the truth, which is the width of a constant estimate. Errors: "
    "Poisson bootstrap."
)
UNCERTAINTY_NOTE = (
    "Coverage: fraction of the rows with the truth inside the predicted interval, with its binomial error; it should equal the interval. "
    "The plots show the predicted probability of values below the truth (probability integral transform). It is flat if the "
    "predicted distributions are right, has a minimum in the middle if they are too narrow, and a maximum if they are too wide."
)
DENSITY_NOTE = (
    "Mean of −log of the predicted joint density at the truth, with all values in their unit; lower is better."
)


class ResidualTask(PredictionTask):
    """Measure bias and resolution of the values of targets of rows; write table, JSON, CSV and plots."""

    exclude_index = False
    draws = True

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {name: self.target(f"residuals.{name}") for name in ("json", "csv")} | {"run": self.target("run.json")}

    def look_first(self) -> None:
        if not self.analysis.regressions:
            raise CollidekitError(f"{self.config}: has no target with 'values', so there are no residuals")

    def make(self) -> None:
        predictions = self.predictions()
        found = measure_residuals(predictions)
        attack = attack_name(self.test_attack_settings)
        self.folder.mkdir(parents=True, exist_ok=True)
        for entry in found:
            truth, estimate = predictions.truth[entry.name], predictions.values[entry.name]
            known = np.isfinite(truth)
            rows = estimate[known], truth[known], predictions.weights[known].astype(np.float64)
            for name, plot in (("residuals", plot_residuals), ("estimates", plot_estimates)):
                plot(self.folder / f"{name}_{entry.name}", entry, *rows, self.title)
            plot_resolution(self.folder / f"resolution_{entry.name}", entry, self.title)
        spreads, densities = measure_uncertainties(predictions), measure_densities(predictions)
        for target, entries in by_target(spreads).items():
            plot_pit(self.folder / f"pit_{target}", entries, self.title)
        _write_table(self.folder / "residuals.csv", found, attack)
        content: dict[str, Any] = {"results": [entry.as_dict() for entry in found]}
        for key, more in (("uncertainties", spreads), ("densities", densities)):
            content |= {key: [one.as_dict() for one in more]} if more else {}
        write_sealed(self.folder / "residuals.json", content | ({"attack": attack} if attack else {}))
        for table in (residual_table(found, self.title), *uncertainty_tables(spreads, densities, self.title)):
            Console().print(table)
        self.say(f"Residuals: {literal(self.folder / 'residuals.json')}")
        self.write_provenance()

    def read(self) -> list[Residuals]:
        """Return the measured residuals from the file."""
        path = self.folder / "residuals.json"
        with as_written(path):
            return [Residuals.read(entry) for entry in read_sealed(path)["results"]]

    def read_uncertainties(self) -> tuple[list[Spreads], list[LogDensity]]:
        """Return the measured uncertainties from the file; empty if there are none."""
        path = self.folder / "residuals.json"
        with as_written(path):
            content = read_sealed(path)
            spreads = [Spreads.read(entry) for entry in content.get("uncertainties", ())]
            return spreads, [LogDensity(**entry) for entry in content.get("densities", ())]

    def sections_of_uncertainties(self) -> list[Section]:
        """Return the section of the report on uncertainties; empty if no target has an uncertainty."""
        spreads, densities = self.read_uncertainties()
        if not spreads:
            return []
        cells = tuple(line for entry in spreads for line in entry.cells())
        blocks: list[Any] = [Cells(SPREAD_HEADER, cells, UNCERTAINTY_NOTE, names=3)]
        if densities:
            blocks.append(Cells(DENSITY_HEADER, tuple(entry.cells() for entry in densities), DENSITY_NOTE))
        blocks.append(Pictures(tuple(self.folder / f"pit_{target}.png" for target in by_target(spreads))))
        return [Section("Uncertainties", tuple(blocks))]

    def section(self) -> Section:
        """Return the section of the report."""
        found = self.read()
        pictures = [
            self.folder / f"{kind}_{entry.name}.png"
            for entry in found
            for kind in ("residuals", "resolution", "estimates")
        ]
        cells = Cells(HEADER, tuple(entry.cells() for entry in found), NOTE, names=2)
        return Section("Residuals", (cells, Pictures(tuple(pictures))))


def by_target(spreads: list[Spreads]) -> dict[str, list[Spreads]]:
    """Return the values of each target."""
    return {target: [e for e in spreads if e.target == target] for target in dict.fromkeys(e.target for e in spreads)}


def _write_table(path: Path, found: list[Residuals], attack: str) -> None:
    """Write one line for all rows and one for each bin of the truth; cells with too few rows are empty."""
    more = {"attack": attack} if attack else {}
    names = ("rows", "bias", "bias_error", "deviation", "deviation_error", "width", "width_error")
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["value", "unit", "truth_from", "truth_to", *names, *more])
        for entry in found:
            parts: list[tuple[Any, ...]] = [("", "", entry.all)]
            parts += list(zip(entry.edges[:-1], entry.edges[1:], entry.bins, strict=True))
            for low, high, spread in parts:
                numbers = (getattr(spread, name) for name in names)
                cells = ("" if isinstance(number, float) and np.isnan(number) else number for number in numbers)
                writer.writerow([entry.name, entry.unit, low, high, *cells, *more.values()])
