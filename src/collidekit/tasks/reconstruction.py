"""ReconstructionTask: compare predictions with classical methods for dileptonic top pairs on the same events."""

import time
from dataclasses import replace
from itertools import islice
from typing import Any

import law
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from collidekit.dataset.loader import Dataset, Loader
from collidekit.errors import CollidekitError
from collidekit.evaluation.assignment import EVENT, assignment_in_bins
from collidekit.evaluation.dilepton.doubts import doubts
from collidekit.evaluation.dilepton.evaluate import Part, evaluate_dilepton, unknown_truths
from collidekit.evaluation.dilepton.events import dilepton_events
from collidekit.evaluation.dilepton.read import rows_as_given
from collidekit.evaluation.dilepton.sample import make_sample
from collidekit.evaluation.dilepton.truth import check_truth, read_truth
from collidekit.evaluation.plots import plot_assignment
from collidekit.evaluation.reconstruction import (
    HEADER,
    USUAL,
    MethodResult,
    check_methods,
    measure_methods,
    network_neutrinos,
    run_methods,
)
from collidekit.evaluation.report.report import Block, Pictures, Section, Text
from collidekit.evaluation.report.report import Table as Cells
from collidekit.evaluation.sheet import Sheet
from collidekit.inference.predict import predict
from collidekit.plain_text import literal
from collidekit.sealed import as_written, read_sealed, write_sealed
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.inference import InferenceTask, PredictionTask
from collidekit.training.checkpoint import load_checkpoint

NOTE = (
    "Efficiency: fraction of the events with all decay products that have the right jets. Fraction right: the same for all events. "
    "Solved: fraction of the events with an estimate of m(tt). Bias and width (half the range of the 16th to 84th percentile) of m(tt): "
    "estimate minus truth, in GeV. pz width: the same for the neutrinos. Each method is evaluated on the events that it "
    "reconstructs. Time: processor time of all threads; for the network in batches of 512."
)
TIMED_BATCH, TIMED_BATCHES = 512, 4
"""Rows of a batch, and number of batches, for the timing of the network."""


class ReconstructionTask(PredictionTask):
    """Compare the network with classical methods on the same dileptonic events; write table, JSON and plots."""

    methods = law.CSVParameter(default=USUAL, description="classical methods to compare with the network")
    exclude_index = False
    draws = True

    def identity(self) -> dict[str, Any]:
        named = self.analysis.dilepton.identity() if self.analysis.dilepton else {}
        own = {
            "methods": list(self.methods),
            "dilepton": named,
            "values": "of the files",
        }  # earlier versions used those of the dataset
        return {**super().identity(), **own}

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {"json": self.target("methods.json"), "run": self.target("run.json")}

    def look_first(self) -> None:
        if not self.analysis.dilepton:
            raise CollidekitError(
                f"{self.config}: has no key 'dilepton', which names leptons, jets and missing momentum"
            )
        check_methods([str(name) for name in self.methods], self.analysis.dilepton)
        check_truth(self.plan, self.test_files)

    def make(self) -> None:
        assert self.analysis.dilepton is not None
        predictions = self.predictions()
        rows = np.stack([predictions.event["file"], predictions.event["row"]], axis=1)
        dataset = self._dataset()
        events = dilepton_events(self.analysis, rows_as_given(self.plan, dataset.manifest.files, rows))
        neutrinos = network_neutrinos(self.analysis.dilepton, self.analysis, predictions, truth=True)
        truth = read_truth(self.plan, dataset.manifest.files, rows, neutrinos)
        answers = run_methods(
            self.analysis.dilepton, events, [str(name) for name in self.methods],
            network_neutrinos(self.analysis.dilepton, self.analysis, predictions), truth.given,
        )  # fmt: skip
        results, assigned, pairs = measure_methods(self.analysis, predictions, events, answers)
        cost = self._network_cost(dataset)
        if cost:
            results[0] = replace(results[0], milliseconds=cost[1])
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.analysis.assignments[self.analysis.dilepton.assignment]
        pictures = []
        for variable in predictions.spectators:
            found, edges = {}, np.zeros(0)
            for name, own in assigned.items():
                edges, each = assignment_in_bins(own, target, variable)
                found[name] = each[EVENT]
            stem = self.folder / f"methods_{variable}"
            plot_assignment(stem, edges, found, self.analysis.label(variable), self.title)
            pictures.append(f"{stem.name}.png")
        sample = make_sample(target, assigned, pairs, events, truth, self.analysis.dilepton.mass_bins)
        parts = evaluate_dilepton(self.folder, sample, self.title)
        unknown = unknown_truths(sample)
        content = {
            "results": [line.as_dict() for line in results], "pictures": pictures, "unusable": int((~events.usable).sum()), "unknown_truth": unknown,
            "parts": [part.as_dict() for part in parts], "parameters": cost and cost[0], "problems": events.problems(),
            "statuses": {name: answer.counts() for name, answer in answers.items()},
        }  # fmt: skip
        write_sealed(self.folder / "methods.json", content)
        Console().print(method_table(results, self.title))
        for note in doubts(events, target):
            self.say(f"[yellow]{note}[/yellow]")
        if unknown:
            self.say(f"[yellow]in {unknown:,} of {len(predictions):,} events the true tops are not known[/yellow]")
        self.say(f"Methods: {literal(self.folder / 'methods.json')}")
        self.write_provenance()

    def _network_cost(self, dataset: Dataset) -> tuple[int, float] | None:
        """Return parameters of the network, and processor time of a prediction in ms per event; None for an ensemble."""
        inference = self.requires()["inference"]
        if inference.is_ensemble:
            return None
        trainings = inference.trainings()
        tagger = load_checkpoint(trainings["training"].folder if trainings else str(self.checkpoint[0])).tagger
        batches = list(islice(Loader(dataset, TIMED_BATCH), TIMED_BATCHES))
        start = time.process_time()
        predict(tagger, self.analysis, batches)
        spent = 1000 * (time.process_time() - start) / sum(map(len, batches))
        return sum(parameter.numel() for parameter in tagger.parameters()), spent

    def _dataset(self) -> Dataset:
        """Return the dataset with the predicted rows."""
        inference: AnalysisTask = self.requires()["inference"]
        while isinstance(inference, InferenceTask) and inference.members:
            inference = next(iter(inference.requires().values()))
        needed = inference.requires()
        task = needed["test"] if "test" in needed else needed["training"].requires()["dataset"]
        return task.dataset()  # type: ignore[no-any-return]

    def read(self) -> list[MethodResult]:
        """Return the measured results from the file."""
        path = self.folder / "methods.json"
        with as_written(path):
            return [MethodResult.read(entry) for entry in read_sealed(path)["results"]]

    def section(self) -> Section:
        """Return the section of the report."""
        path = self.folder / "methods.json"
        with as_written(path):
            content = read_sealed(path)
            pictures = tuple(self.folder / str(name) for name in content["pictures"])
            parts = [Part.read(entry) for entry in content.get("parts", ())]  # an earlier version wrote none
            parameters = content.get("parameters")
        note = f"{NOTE} The network has {int(parameters):,} parameters." if parameters else NOTE
        if counted := [f"{int(number):,} {what}" for what, number in content.get("problems", {}).items() if number]:
            note += f" Doubtful events: {', '.join(counted)}."
        cells = Cells(HEADER, tuple(line.cells() for line in self.read()), note)
        blocks: list[Block] = [cells, *([Pictures(pictures)] if pictures else [])]
        for part in parts:
            blocks.append(Text(f"{part.title}:"))
            blocks += [_cells(sheet) for sheet in part.sheets]
            blocks.append(Pictures(tuple(self.folder / name for name in part.pictures), part.pictures, "grid"))
        return Section("Classical methods", tuple(blocks))


def _cells(sheet: Sheet) -> Cells:
    rows = sheet.rows[: sheet.most or None]
    more = (
        f" The other {len(sheet.rows) - len(rows)} rows are in {sheet.name}.tex." if len(rows) < len(sheet.rows) else ""
    )
    return Cells(sheet.header, rows, sheet.caption + more, sheet.names)


SHOWN = (0, 1, 3, 5, 6)
"""Columns of the table in a terminal with 80 characters; the report has all columns."""


def method_table(results: list[MethodResult], title: str = "") -> Table:
    """Return a table with assignments and masses of the network and each method."""
    table = Table(title=literal(title) or None, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    for number in SHOWN:
        table.add_column(HEADER[number], justify="right" if number else "left", no_wrap=True)
    for line in results:
        cells = line.cells()
        table.add_row(*(literal(cells[number]) for number in SHOWN))
    return table
