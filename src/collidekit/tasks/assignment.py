"""AssignmentTask: measure the efficiency of assignments from predictions."""

import csv

import law
from rich.console import Console

from collidekit.errors import CollidekitError
from collidekit.evaluation.assignment import HEADER, Found, assignment_in_bins, measure_assignment
from collidekit.evaluation.plots import plot_assignment
from collidekit.evaluation.report.report import Pictures, Section
from collidekit.evaluation.report.report import Table as Cells
from collidekit.files import replacing
from collidekit.plain_text import literal
from collidekit.sealed import as_written, read_sealed, write_sealed
from collidekit.tasks.inference import PredictionTask
from collidekit.tasks.tables import assignment_table
from collidekit.tasks.titles import attack_name

NOTE = (
    "Right: every slot of the parent has the true constituent, up to the symmetries. Efficiency: fraction right of the "
    "events with all decay products of the parent. Fraction right: of all events with known truth. Errors: binomial."
)


class AssignmentTask(PredictionTask):
    """Measure the efficiency of each assignment, for the event and each parent; write table, JSON, CSV and plots."""

    exclude_index = False
    draws = True

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {name: self.target(f"assignment.{name}") for name in ("json", "csv")} | {"run": self.target("run.json")}

    def look_first(self) -> None:
        if not self.analysis.assignments:
            raise CollidekitError(f"{self.config}: has no target with 'parents', so nothing is assigned")

    def make(self) -> None:
        predictions = self.predictions()
        self.folder.mkdir(parents=True, exist_ok=True)
        found: list[Found] = []
        pictures = []
        for name, target in self.analysis.assignments.items():
            found += measure_assignment(predictions, name, target)
            for variable in predictions.spectators:
                stem = self.folder / f"{name}_{variable}"
                plot_assignment(
                    stem, *assignment_in_bins(predictions, target, variable), self.analysis.label(variable), self.title
                )
                pictures.append(f"{stem.name}.png")
        attack = attack_name(self.test_attack_settings)
        with (
            replacing(self.folder / "assignment.csv") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(
                ["target", "what", "events", "efficiency", "error", "all_events", "fraction", "fraction_error"]
            )
            for entry in found:
                of_complete = entry.complete
                complete = (of_complete.total, of_complete.value, of_complete.error) if of_complete else (0, "", "")
                writer.writerow(
                    [entry.target, entry.what, *complete, entry.every.total, entry.every.value, entry.every.error]
                )
        content = {"results": [entry.as_dict() for entry in found], "pictures": pictures}
        write_sealed(self.folder / "assignment.json", content | ({"attack": attack} if attack else {}))
        Console().print(assignment_table(found, self.title))
        self.say(f"Assignment: {literal(self.folder / 'assignment.json')}")
        self.write_provenance()

    def read(self) -> list[Found]:
        """Return the measured efficiencies from the file."""
        path = self.folder / "assignment.json"
        with as_written(path):
            return [Found.read(entry) for entry in read_sealed(path)["results"]]

    def section(self) -> Section:
        """Return the section of the report."""
        path = self.folder / "assignment.json"
        with as_written(path):
            pictures = tuple(self.folder / str(name) for name in read_sealed(path)["pictures"])
        cells = Cells(HEADER, tuple(entry.cells() for entry in self.read()), NOTE, names=2)
        return Section("Assignment", (cells, *([Pictures(pictures)] if pictures else [])))
