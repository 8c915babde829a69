"""Table of the best trials, and trials.csv."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from collidekit.evaluation.grid.results import shown, title
from collidekit.evaluation.numbers import with_error
from collidekit.files import replacing
from collidekit.search.axes import label
from collidekit.search.study import SearchPlan
from collidekit.search.trials import TrialRecord

SHOWN = 10


def ordered(found: Sequence[TrialRecord], direction: str) -> list[TrialRecord]:
    """Return the complete trials, with the best one first."""
    sign = 1.0 if direction == "minimize" else -1.0
    complete = [trial for trial in found if trial.state == "complete"]
    return sorted(complete, key=lambda trial: (sign * float(trial.value or 0.0), trial.number))


def cells(found: Sequence[TrialRecord], plan: SearchPlan) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of the best trials."""
    header = ["trial", *(label(one) for one in plan.space), title(plan.metric), "CPU time (s)"]
    rows = []
    for trial in ordered(found, plan.direction)[:SHOWN]:
        settings = [shown_value(trial.settings[name]) for name in plan.space.names]
        rows.append([str(trial.number), *settings, value_text(trial), f"{trial.cpu_seconds:,.1f}"])
    return header, rows


def shown_value(value: Any) -> str:
    """Return a value of a setting with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else shown(value)


def value_text(trial: TrialRecord) -> str:
    """Return the value of a trial, with its standard deviation if there are several seeds."""
    return with_error(float(trial.value or 0.0), trial.spread) if trial.spread else f"{trial.value:.5g}"


def best_table(found: Sequence[TrialRecord], plan: SearchPlan) -> Table:
    """Return the table of the best trials for a terminal."""
    from rich.markup import escape

    header, rows = cells(found, plan)
    spread = ", mean ± standard deviation over seeds" if len(plan.seeds) > 1 else ""
    failed = sum(trial.state == "failed" for trial in found)
    caption = f"{failed} of {len(found)} trials failed, see trials.csv" if failed else None
    table = Table(title=f"Best trials, validation rows{spread}", caption=caption)
    for name in header:
        table.add_column(escape(name), justify="right", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def write_trials(found: Sequence[TrialRecord], plan: SearchPlan, path: Path) -> Path:
    """Write all trials as CSV, one row each."""
    figures = dict.fromkeys(name for trial in found for name in trial.figures if name.startswith("val_"))
    header = ["trial", "state", "value", "spread", *plan.space.names, *(f"{name} (mean)" for name in figures)]
    header += ["cpu_seconds", "seconds", "repeats_trial", "began", "ended", "folders", "error"]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for trial in found:
            numbers = [_number(trial.value), _number(trial.spread)]
            settings = [_number(trial.settings.get(name, "")) for name in plan.space.names]
            more = [_number(trial.figures.get(name)) for name in figures]
            folders = " ".join(one["folder"] for one in trial.by_seed)
            cost = [trial.cpu_seconds, trial.seconds, "" if trial.retry_of is None else trial.retry_of]
            writer.writerow(
                [
                    trial.number,
                    trial.state,
                    *numbers,
                    *settings,
                    *more,
                    *cost,
                    trial.began,
                    trial.ended,
                    folders,
                    trial.error,
                ]
            )
    return path


def _number(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
