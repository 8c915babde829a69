"""The trainings below a results folder, as a table for a terminal and as JSON."""

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.numbers import with_error
from collidekit.outputs.find import State
from collidekit.outputs.recipes import compare_recipes, usual_settings
from collidekit.outputs.tables import age
from collidekit.outputs.trainings import COMPLETE, TrainingRun, best_score, discriminators_of, find_trainings
from collidekit.plain_text import literal, without_controls
from collidekit.shown import counted
from collidekit.tasks.differences import flat, short_value

FORMAT = "collidekit runs 1"
_INDENT = 4
_STATES = {
    State.MAKING: "is being trained, or was stopped within the last hour; the same command continues it",
    State.INTERRUPTED: "was interrupted; the same command continues it",
    State.UNFINISHED: "was stopped before its first checkpoint",
    State.DAMAGED: "is damaged",
    State.HALF_REMOVED: "was half removed",
}


def chosen_trainings(results: Path, analysis: str | None = None) -> list[TrainingRun]:
    """Return the trainings of one analysis, or of all; raise CollidekitError if the analysis has none."""
    if not results.is_dir():
        raise CollidekitError(f"{results}: there is no such folder; name the results folder with --output")
    runs = find_trainings(results)
    if analysis is None:
        return runs
    known = sorted({run.output.analysis for run in runs})
    if analysis not in known:
        close = did_you_mean(analysis, known) or (f"; there are {', '.join(known)}" if known else "")
        raise CollidekitError(f"{results}: there is no training of the analysis {analysis!r}{close}")
    return [run for run in runs if run.output.analysis == analysis]


def show_trainings(runs: Sequence[TrainingRun], results: Path, console: Console, discriminator: str | None) -> None:
    """Print one table for each analysis, the newest training first."""
    if not runs:
        console.print(f"{literal(results)}: there are no trainings yet", highlight=False, soft_wrap=True)
        return
    if discriminator is not None and discriminator not in (known := discriminators_of(runs)):
        close = did_you_mean(discriminator, known) or f"; measured are {', '.join(known) or 'none'}"
        raise CollidekitError(f"--discriminator: there is no result for {discriminator!r}{close}")
    usual = usual_settings()
    ordered = sorted(runs, key=lambda run: run.output.analysis)
    for analysis, group in groupby(ordered, lambda run: run.output.analysis):
        of_analysis = list(group)
        names = discriminators_of(of_analysis)
        shown = discriminator or (names[0] if names else "")
        _show_analysis(analysis, of_analysis, shown, usual, console)
        others = [name for name in names if name != shown]
        if others and discriminator is None:
            listed = ", ".join(map(literal, others))
            console.print(f"[dim]also measured: {listed} (--discriminator NAME)[/dim]", highlight=False)
    place = literal(results / "TrainingTask" / "ANALYSIS")
    console.print(f"[dim]Folders: {place}/RUN[/dim]", highlight=False, soft_wrap=True)


def _show_analysis(
    analysis: str, runs: Sequence[TrainingRun], discriminator: str, usual: dict[str, Any], console: Console
) -> None:
    recipes = compare_recipes(runs, usual)
    console.print(f"[bold]{literal(analysis)}[/bold]: {counted(len(runs), 'training')}", highlight=False)
    if recipes.shared:
        console.print(
            Padding(Text(without_controls(f"not at default: {_listed(recipes.shared)}"), "dim"), (0, 0, 0, 2))
        )
    lines = [_cells(run, discriminator) for run in runs]
    titles = ("run", "network", "epochs", f"AUC of {discriminator}" if discriminator else "AUC", "CPU min", "changed")
    widths = [max(map(len, column)) for column in zip(titles, *lines, strict=True)]
    console.print(_line(titles, widths, "bold"))
    for run, own, cells in zip(runs, recipes.own, lines, strict=True):
        console.print(_line(cells, widths), highlight=False)
        for text, style in _below(run, own, discriminator):
            console.print(Padding(Text(without_controls(text), style, overflow="fold"), (0, 0, 0, _INDENT)))
    console.print()


def _line(cells: Sequence[str], widths: Sequence[int], style: str = "") -> Table:
    """Return one line of the table. Each training has its own line, with text of full width below it."""
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for number, width in enumerate(widths):
        table.add_column(width=width, justify="left" if number < 2 else "right", overflow="fold")
    table.add_row(*(Text(without_controls(cell), style) for cell in cells))
    return table


def _cells(run: TrainingRun, discriminator: str) -> tuple[str, ...]:
    score = best_score(run, discriminator)
    wanted = run.config.get("epochs")
    done = f"{len(run.epochs)}" if run.complete or wanted is None else f"{len(run.epochs)} of {wanted}"
    auc = with_error(score.auc, score.auc_error) if score else "–"
    cpu = (
        "–"
        if run.cpu_seconds is None
        else f"{run.cpu_seconds / 60:.2g}"
        if run.cpu_seconds < 600
        else f"{run.cpu_seconds / 60:,.0f}"
    )
    changed = age(time.time() - run.output.changed)
    return "/".join(run.output.place[2:]), Path(run.network.partition(":")[0]).name or "–", done, auc, cpu, changed


def _below(run: TrainingRun, own: dict[str, Any], discriminator: str) -> list[tuple[str, str]]:
    """Return the lines below a training: its state, the settings that differ, and its other results."""
    lines = [(f"{_STATES[run.output.state]}", "yellow")] if run.output.state in _STATES else []
    lines += [(run.problem, "red")] if run.problem else []
    lines += [(f"differs in: {_listed(own)}", "dim")] if own else []
    nominal = best_score(run, discriminator)
    if nominal and nominal.combined:
        lines.append((f"the AUC is for all {nominal.combined} together", "dim"))
    if not nominal and "val_loss" in run.best:
        lines.append((f"no ROC curve yet; lowest validation loss {run.best['val_loss']:.4f}", "dim"))
    for attack in dict.fromkeys(score.attack for score in run.scores if score.attack):
        if score := best_score(run, discriminator, attack):
            lines.append((f"under {attack}: {with_error(score.auc, score.auc_error)}", "dim"))
    return lines


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {short_value(value)}" for name, value in settings.items())


def as_json(runs: Sequence[TrainingRun], results: Path) -> dict[str, Any]:
    """Return all information about trainings; docs/command.md describes the keys."""
    usual = usual_settings()
    own: dict[int, dict[str, Any]] = {}
    for analysis in {run.output.analysis for run in runs}:
        same = [run for run in runs if run.output.analysis == analysis]
        own |= {id(run): settings for run, settings in zip(same, compare_recipes(same, usual).own, strict=True)}
    return {
        "format": FORMAT,
        "results": str(results),
        "trainings": [_training(run, own[id(run)], usual) for run in runs],
    }


def _training(run: TrainingRun, own: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    dataset, training = (*run.output.versions, "", "")[:2]
    return {
        "folder": str(run.output.folder),
        "analysis": run.output.analysis,
        "dataset_version": dataset,
        "training_version": training,
        "hash": run.output.hash,
        "state": "complete" if run.output.state in COMPLETE else str(run.output.state),
        "problem": run.problem,
        "made": run.made,
        "network": run.network,
        "not_at_default": {name: value for name, value in flat(run.config) if value != usual.get(name)},
        "differs_in": own,
        "epochs": len(run.epochs),
        "epochs_wanted": run.config.get("epochs"),
        "best_epoch": run.best.get("epoch"),
        "best_validation_loss": run.best.get("val_loss"),
        "cpu_seconds": run.cpu_seconds,
        "ran_with": run.ran_with,
        "scores": [
            {
                "discriminator": score.discriminator,
                "auc": score.auc,
                "auc_error": score.auc_error,
                "test_dataset_version": score.test_version,
                "attack": score.attack,
                "combined": score.combined,
                "report": score.report,
                "made": score.made,
            }
            for score in run.scores
        ],
    }
