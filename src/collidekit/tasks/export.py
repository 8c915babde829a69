"""ExportTask: export trained taggers as a bundle for other programs."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import law
import luigi
from attrs import evolve
from rich.console import Console
from rich.table import Table

from collidekit.errors import CollidekitError
from collidekit.export.agreement import TOLERANCE, Agreement
from collidekit.export.layouts import LAYOUTS
from collidekit.export.members import prepare_members, untrained
from collidekit.export.options import Options
from collidekit.export.precision import PRECISIONS, check_precision
from collidekit.export.sample import ROWS, read_sample
from collidekit.export.write import Exported, check_request, write_bundle
from collidekit.inference.ensemble import load_members
from collidekit.plain_text import literal
from collidekit.runtime.schema import SCHEMA
from collidekit.shown import counted
from collidekit.tasks.inference import InferenceTask, PredictionTask
from collidekit.training.checkpoint import Checkpoint, load_checkpoint

BUNDLE = "bundle"


class ExportTask(PredictionTask):
    """Write the trained network, or those of all folds, as a bundle: ONNX graph, schema, golden rows, card."""

    layout = luigi.ChoiceParameter(default="generic", choices=list(LAYOUTS), description="the layout of the consumer")
    layout_options = law.CSVParameter(
        default=(), description="options of the layout as NAME=VALUE, separated by commas: label.light=u"
    )
    opset = luigi.IntParameter(default=0, description="ONNX opset, 17 to 20; 0: from the layout")
    precision = luigi.ChoiceParameter(
        default="float32",
        choices=list(PRECISIONS),
        description="float32, float16 or int8; the card of the bundle shows the loss of precision",
    )
    bundle_name = luigi.Parameter(
        default="", description="name of the model in the bundle; default: name of the analysis"
    )
    checked_rows = luigi.IntParameter(
        default=ROWS, description="number of real rows for the comparison of graph and checkpoint"
    )
    exclude_index = False

    def identity(self) -> dict[str, Any]:
        return {
            **super().identity(),
            "layout": self.layout,
            "options": self.options.of_layout,
            "opset": self.opset,
            "precision": self.precision,
            "name": self.name,
            "rows": self.checked_rows,
        }

    @property
    def name(self) -> str:
        """Name of the model in the bundle."""
        return str(self.bundle_name) or self.analysis.name

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {"schema": self.target(f"{BUNDLE}/{SCHEMA}"), "run": self.target("run.json")}

    def look_first(self) -> None:
        inference: InferenceTask = self.requires()["inference"]
        if self.test_attack_settings.attack != "nominal":
            raise CollidekitError("--test-attack: has no meaning for a bundle; leave it out")
        if inference.is_ensemble and not inference.all_folds:
            raise CollidekitError(
                "a bundle cannot contain an ensemble of several seeds or checkpoints; export one of them"
            )
        if self.checked_rows < 1:
            raise CollidekitError(f"--checked-rows: {self.checked_rows} is not a number of rows; give 1 or more")
        prepare_members(self._untrained(inference), self.name, evolve(self.options, calibrated=False))

    @cached_property
    def options(self) -> Options:
        """Settings of the bundle."""
        return Options(
            layout=str(self.layout),
            opset=self.opset or None,
            calibrated=self.calibrated,
            precision=check_precision(str(self.precision)),
            of_layout=layout_options([str(one) for one in self.layout_options]),
        )

    def make(self) -> None:
        inference: InferenceTask = self.requires()["inference"]
        members = self._members(inference)
        files = inference.test_files or inference.dataset_task().files()
        sample = read_sample(members, list(files), self.checked_rows, self.calibrated, str(self.config))
        made = write_bundle(members, sample, self.folder / BUNDLE, self.name, self.options, force=True)
        show_exported(made, Console(soft_wrap=True))
        self.write_provenance()

    def _untrained(self, inference: InferenceTask) -> Mapping[str, Checkpoint]:
        """Return the given checkpoints, else untrained networks for the trainings."""
        if self.checkpoint:
            return self._members(inference)
        tasks = inference.trainings()
        return {name: untrained(self.analysis, task.training_config()) for name, task in tasks.items()}

    def _members(self, inference: InferenceTask) -> Mapping[str, Checkpoint]:
        if self.checkpoint:
            return load_members([str(name) for name in self.checkpoint])
        paths = [task.folder / "best_model.pt" for task in inference.trainings().values()]
        return {str(path): load_checkpoint(path) for path in paths}


def layout_options(settings: list[str]) -> dict[str, str]:
    """Return the options of a layout from texts NAME=VALUE."""
    found = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise CollidekitError(f"{text!r}: write an option of a layout as NAME=VALUE, such as label.light=u")
        if name in found:
            raise CollidekitError(f"{text!r}: the option {name} is given twice")
        found[name] = value
    return found


def export_to(
    names: list[str],
    folder: Path | None,
    files: list[str],
    name: str | None,
    options: Options,
    rows: int,
    analysis: str | None,
    force: bool,
) -> Exported:
    """Write the bundle of checkpoints, as ``collidekit export``."""
    members = load_members(names)
    first = next(iter(members.values()))
    model_name = name or first.analysis.name or first.config.model_name
    target = folder or Path(f"{model_name}_{options.layout}")
    check_request(members, target, model_name, options, force)
    sample = read_sample(members, files, rows, options.calibrated, analysis)
    return write_bundle(members, sample, target, model_name, options, force)


def show_exported(made: Exported, console: Console) -> None:
    """Print the agreement with the checkpoint, and what was written."""
    console.print(agreement_table(made.agreement))
    for note in made.notes:
        console.print(f"{literal(note)}.")
    for side in made.agreement.sides:
        if side.changed:
            console.print(
                f"[yellow]{side.changed:,} of {made.agreement.rows:,} rows change sides at {side.point} of {literal(side.discriminator)}, "
                f"{side.near} of them within 1e-6 of the threshold[/yellow]"
            )
    if made.agreement.beyond and made.schema.precision == "float32":
        console.print(
            f"[yellow]{made.agreement.beyond:,} of {made.agreement.rows:,} rows differ by more than {TOLERANCE:g}: in "
            f"these rows the network chooses between nearly equal values, so that rounding decides[/yellow]"
        )
    size = sum(graph.bytes for graph in made.schema.graphs) / 1e6
    console.print(
        f"[bold green]Exported[/bold green]: {literal(made.folder)} ({counted(len(made.schema.graphs), 'graph')}, {size:.2f} MB)"
    )
    console.print(f"Check it anywhere: python {literal(made.folder / 'verify.py')}")


def agreement_table(agreement: Agreement) -> Table:
    """Return a table with the differences of each column, and the AUC of graph and checkpoint if there are discriminators."""
    table = Table(title=f"Graph and checkpoint on {agreement.rows:,} real rows", title_justify="left")
    headings = ["column", "largest difference", "mean"] + ["AUC, checkpoint", "AUC, graph"] * bool(agreement.auc)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "column" else "right", overflow="fold")
    for one in agreement.differences:
        pair = agreement.auc.get(one.column)
        cells = [f"{value:.7f}" for value in pair] if pair else []
        table.add_row(literal(one.column), f"{one.largest:.1e}", f"{one.mean:.1e}", *cells)
    return table
