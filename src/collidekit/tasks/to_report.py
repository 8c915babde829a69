"""Functions of ``collidekit run``: make a ReportTask from options, run it, and print the table."""

from collections.abc import Mapping, Sequence
from typing import Any

import luigi
from rich.console import Console

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.ensemble import EnsembleResult, RocLine
from collidekit.plain_text import literal
from collidekit.sealed import as_written, read_sealed
from collidekit.tasks.base import AnalysisTask, run_with_requirements
from collidekit.tasks.inference import InferenceTask, overlap_text
from collidekit.tasks.reconstruction import method_table
from collidekit.tasks.report import ReportTask
from collidekit.tasks.report_trees import known_note
from collidekit.tasks.run_estimate import estimate_run
from collidekit.tasks.run_warnings import notes_of_run
from collidekit.tasks.tables import assignment_table, ensemble_table, residual_table, roc_table, uncertainty_tables
from collidekit.training.choice import check_network
from collidekit.verbosity import is_quiet

_OF_LAW = {"log_file", "print_deps", "print_status", "print_output", "remove_output", "fetch_output"}
_ELSEWHERE = _OF_LAW | {"config", "filelist", "test_filelist", "over", "yes", "workflow"}


def settable(task: type[AnalysisTask] = ReportTask) -> dict[str, luigi.Parameter]:
    """Return the parameters of a task that ``--set`` can change."""
    return {name: parameter for name, parameter in task.get_params() if name not in _ELSEWHERE}


def parse_settings(pairs: Sequence[str], task: type[AnalysisTask] = ReportTask) -> dict[str, Any]:
    """Return values of the task's parameters from texts ``name=value``."""
    known, values = settable(task), {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        name = name.replace("-", "_")
        if not equals:
            raise CollidekitError(f"--set {pair!r}: write it as name=value, such as --set weight_decay=0.001")
        if name not in known:
            close = did_you_mean(name, list(known)) or f"; known are {', '.join(known)}"
            raise CollidekitError(f"--set {pair!r}: there is no parameter {name!r}{close}")
        if not text:
            raise CollidekitError(f"--set {pair!r}: the value is empty; give a value or leave the option out")
        try:
            values[name] = known[name].parse(text)  # type: ignore[no-untyped-call]
        except CollidekitError as error:
            raise CollidekitError(f"--set {pair!r}: {str(error).partition(': ')[2]}") from None
    return values


def report_task(
    analysis: str, files: Sequence[str] = (), test_files: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> ReportTask:
    """Return the ReportTask of an analysis; settings that are None have their default."""
    given = {name: value for name, value in (settings or {}).items() if value is not None}
    task = ReportTask(config=analysis, filelist=tuple(files), test_filelist=tuple(test_files), **given)
    if not task.checkpoint:
        check_network(task.analysis, task.training_config())  # an error now, not after hours
    return task


def run_to_report(task: ReportTask) -> None:
    """Run all missing tasks up to the report, and print the table and the path of the report."""
    console = Console(soft_wrap=True)
    if task.complete():
        _print_table(console, task)
        for note in filter(None, (known_note(task.folder), *_warnings(task))):
            console.print(f"[bold red]{literal(note)}[/bold red]", highlight=False)
        console.print(
            f"[bold green]Report[/bold green] (existing result): {literal(task.folder / 'report.html')}",
            highlight=False,
        )
        return
    if not is_quiet() and (made := estimate_run(task)):
        console.print(f"[dim]{literal(made)}[/dim]", highlight=False)
    _train_each(console, task)
    needed: dict[str, AnalysisTask] = task.requires()
    table = needed.pop(next(name for name in ("roc", "residuals", "assignment") if name in needed))
    for other in needed.values():
        run_with_requirements(other)
    if shown := table.complete():
        _print_table(console, task)
    run_with_requirements(task)
    if not table.made and not shown:  # made by another process, which printed it elsewhere
        _print_table(console, task)
    for note in _warnings(task):
        console.print(f"[bold red]{literal(note)}[/bold red]", highlight=False)
    if not task.made or is_quiet():
        console.print(f"[bold green]Report[/bold green]: {literal(task.folder / 'report.html')}", highlight=False)


def _warnings(task: ReportTask) -> list[str]:
    """Return warnings about overfitting and unstable seeds."""
    return notes_of_run(InferenceTask.req(task), task.requires().get("roc"))


def _train_each(console: Console, task: ReportTask) -> None:
    """Run the trainings of an ensemble one after another, with a title for each."""
    trainings = InferenceTask.req(task).trainings()
    for number, (name, training) in enumerate(trainings.items(), 1):
        if len(trainings) > 1 and not training.complete():
            run_with_requirements(training.requires()["dataset"])
            if not is_quiet():
                console.print(f"[bold cyan]{name}[/bold cyan] ({number} of {len(trainings)})", highlight=False)
            run_with_requirements(training)


def _print_table(console: Console, task: ReportTask) -> None:
    needed, tables = task.requires(), []
    if "roc" in needed:
        path = needed["roc"].folder / "roc.json"
        content = read_sealed(path)
        with as_written(path):
            tables += [roc_table([RocLine.read(entry) for entry in content["results"]], task.title)]
            tables += [ensemble_table(EnsembleResult.read(entry)) for entry in content.get("ensembles", ())]
    if "residuals" in needed and needed["residuals"].complete():
        tables += [residual_table(needed["residuals"].read(), task.title)]
        spreads, densities = needed["residuals"].read_uncertainties()
        tables += uncertainty_tables(spreads, densities, task.title)
    if "assignment" in needed and needed["assignment"].complete():
        tables += [assignment_table(needed["assignment"].read(), task.title)]
    if "methods" in needed and needed["methods"].complete():
        tables += [method_table(needed["methods"].read(), task.title)]
    for table in tables:
        console.print(table)
    if note := InferenceTask.req(task).overlap_note:
        console.print(overlap_text(note), highlight=False)
