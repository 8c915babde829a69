"""The verb that searches for good settings."""

from typing import Annotated, Any

from collidekit.cli.app import (
    DO,
    TRAINING,
    WORK,
    Analysis,
    DryRun,
    EachSeed,
    ForAll,
    On,
    Output,
    SiteFile,
    Store,
    TrainingFiles,
    panel,
    split,
    verb,
)


@verb(DO)
def search(
    analysis: Analysis,
    space: Annotated[
        str, panel(TRAINING, "--space", help="The space file: settings and the values to search, see docs/search.md.", metavar="FILE")
    ],
    trials: Annotated[
        int | None,
        panel(TRAINING, "--trials", "-n", help="Trials in the study, with those that are there. Without it: 20, or all points of a grid.",
              min=1),
    ] = None,
    sampler: Annotated[str, panel(TRAINING, "--sampler", help="How settings are drawn: tpe, random or grid.")] = "tpe",
    seeds: EachSeed = None,
    metric: Annotated[
        str, panel(TRAINING, "--metric", help="The column of history.csv that is compared, at the epoch that is kept.")
    ] = "val_loss",
    direction: Annotated[
        str, panel(TRAINING, "--direction", help="minimize or maximize. Without it: by the metric.")
    ] = "",
    prune: Annotated[
        bool | None,
        panel(TRAINING, "--prune/--no-prune", help="Stop trials that are worse than others at the same epoch. Without it: yes, but "
              "not in a grid, nor where epochs are searched."),
    ] = None,
    pruner: Annotated[
        str,
        panel(TRAINING, "--pruner", help="How trials are compared: median, or halving or hyperband, where one of three goes on to three "
              "times the epochs."),
    ] = "median",
    warmup: Annotated[int, panel(TRAINING, "--prune-warmup", help="Epochs before a trial may be stopped.", min=0)] = 0,
    sampler_seed: Annotated[int, panel(TRAINING, "--sampler-seed", help="Random seed of the draws.", min=0)] = 1,
    files: TrainingFiles = None,
    settings: ForAll = None,
    storage: Annotated[
        str,
        panel(WORK, "--storage", help="A journal file, or postgresql://user@host/database. Without it: a journal file beside the output."),
    ] = "",
    study: Annotated[
        str, panel(WORK, "--study", help="Name of the study in the storage. Without it: from the analysis and all settings.")
    ] = "",
    workers: Annotated[int, panel(WORK, "--workers", help="Processes here that train at the same time; on a batch system, jobs.", min=1, max=1024)] = 1,
    heartbeat: Annotated[
        float, panel(WORK, "--heartbeat", help="Seconds between signs of life; a trial that misses two is run again.")
    ] = 60.0,
    yes: Annotated[bool, panel(WORK, "--yes", "-y", help="A grid of more than 1000 points.")] = False,
    threads: Annotated[
        int | None, panel(WORK, "--threads", help="Threads of torch for each worker. Without it: all processors, divided by the workers.",
                          min=1, max=1024)
    ] = None,
    on: On = None,
    site: SiteFile = None,
    dry_run: DryRun = False,
    output: Output = None,
    store: Store = None,
) -> None:  # fmt: skip
    """Search for good settings: draw them from a space, train, and compare on the validation rows.

    The same command goes on with a search that was stopped, and with more [bold]--trials[/bold] it adds to one that was finished. The
    same command at the same time, here or on another machine with the same storage, helps. Test rows are never read.

    Example: [cyan]collidekit search top_tagging --space space.yaml --trials 40 --workers 2[/cyan]

    Writes search.html, a page with history, importance, parallel coordinates, slices and the cost in CPU hours, trials.csv, and
    best.yaml, an analysis file with the best settings. Needs [bold]pip install 'collidekit\\[search]'[/bold].
    """
    from collidekit.extras import need
    from collidekit.tasks.jobs import run_as_jobs
    from collidekit.tasks.search import SearchTask, run_search, threads_of_each
    from collidekit.tasks.to_report import parse_settings
    from collidekit.tasks.training import TrainingParameters

    need("optuna", "search")
    given: dict[str, Any] = parse_settings(settings or (), TrainingParameters)
    if threads is not None or (workers > 1 and not (on or site)):
        given["n_threads"] = threads or threads_of_each(workers)
    task = SearchTask(
        config=analysis, space=space, trials=trials or 0, sampler=sampler, seeds=split(seeds),
        metric=metric, direction=direction, prune=prune, pruner=pruner, prune_warmup=warmup, sampler_seed=sampler_seed,
        filelist=tuple(files or ()), storage=storage, study=study, workers=workers, heartbeat=heartbeat, yes=yes, **given,
    )  # fmt: skip
    if run_as_jobs(task, on, site, dry_run):
        run_search(task)
