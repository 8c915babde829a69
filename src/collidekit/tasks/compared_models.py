"""Predictions of files by trained models, for a comparison."""

from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError
from collidekit.inference.combination import combine
from collidekit.inference.ensemble import load_members, predict_files_with
from collidekit.inference.run_folder import with_members
from collidekit.inference.seen import Refusal, SeenRows, content_of_paths
from collidekit.plain_text import literal
from collidekit.progress import counting
from collidekit.readers import expand
from collidekit.shipped import load_plan
from collidekit.tasks.compared_runs import Run
from collidekit.training.checkpoint import find_checkpoint


def predict_runs(
    names: Sequence[str],
    files: Sequence[str],
    analysis: str | None = None,
    threads: int | None = None,
    allow_training_rows: bool = False,
) -> list[Run]:
    """Return a run for each model; training rows of a model are an error without ``allow_training_rows``."""
    for name in names:
        if Path(name).suffix == ".parquet":
            raise CollidekitError(
                f"{name}: is a file of predictions; with --files give a training, checkpoint or bundled model"
            )
    if threads:
        torch.set_num_threads(threads)
    paths = expand(list(files))
    plan = None if analysis is None else load_plan(analysis)
    return [_predict(name, paths, plan, allow_training_rows) for name in names]


def _predict(name: str, paths: list[str], plan: Plan | None, allow_training_rows: bool) -> Run:
    models = load_members(with_members([name]))
    seen = SeenRows(models, content_of_paths(paths, models), None if allow_training_rows else Refusal(paths))
    first = next(iter(models.values()))
    with counting(f"Predicting with {name}", "rows") as done:
        members, skipped = predict_files_with(models, paths, plan, done=done, seen=seen)
    seen.refuse()
    if skipped:
        raise CollidekitError(skipped[0])
    if warning := seen.warning():
        Console(soft_wrap=True, highlight=False, stderr=True).print(
            f"[bold red]{literal(name)}: {literal(warning)}[/bold red]"
        )
    used = seen.used()
    several = len(members) > 1
    predictions = combine(members, "mean", used is None, used) if several else next(iter(members.values()))
    file = find_checkpoint(next(iter(models)))
    return Run(
        given=name,
        predictions=predictions,
        folder=Path(name) if Path(name).is_dir() else file,
        source="|".join(paths) if plan else f"{first.analysis.fingerprint}|{'|'.join(paths)}",
        files=tuple(paths),
        analysis=(plan.analysis if plan else first.analysis).name,
        combination="mean" if several else "",
        config=first.config.identity,
        plan=plan or first.plan(),
        epochs=first.epoch,
    )
