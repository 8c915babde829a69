"""The verb ``search``."""

from typing import Annotated, Any

from collidekit.cli.app import (
    PIPELINE,
    RUNNING,
    TRAINING,
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


@verb(PIPELINE)
def search(
    analysis: Analysis,
    space: Annotated[
        str, panel(TRAINING, "--space", help="The space file with settings and their possible values, see docs/search.md.", metavar="FILE")
    ],
    trials: Annotated[
        int | None,
        panel(TRAINING, "--trials", "-n", help="Number of trials in the study, including existing ones. Default: 20, "
                                        "or all points of a grid.",
              min=1),
    ] = None,
    sampler: Annotated[str, panel(TRAINING, "--sampler", help="How settings are drawn: tpe, random or grid.")] = "tpe",
    seeds: EachSeed = None,
    metric: Annotated[
        str, panel(TRAINING, "--metric", help="The column of history.csv to compare, at the best epoch.")
    ] = "val_loss",
    direction: Annotated[
        str, panel(TRAINING, "--direction", help="minimize or maximize. Default: depends on the metric.")
    ] = "",
    prune: Annotated[
        bool | None,
        panel(TRAINING, "--prune/--no-prune", help="Stop trials that are worse than others at the same epoch. "
                                        "Default: yes, except in a grid or if the number of epochs is searched."),
    ] = None,
    pruner: Annotated[
        str,
        panel(TRAINING, "--pruner", help="How trials are compared: median, halving or hyperband. In the last two, one "
                                        "third of the trials continues to three times the epochs."),
    ] = "median",
    warmup: Annotated[int, panel(TRAINING, "--prune-warmup", help="Number of epochs before a trial may be stopped.", min=0)] = 0,
    sampler_seed: Annotated[int, panel(TRAINING, "--sampler-seed", help="Random seed of the draws.", min=0)] = 1,
    files: TrainingFiles = None,
    settings: ForAll = None,
    storage: Annotated[
        str,
        panel(RUNNING, "--storage", help="A journal file, or postgresql://user@host/database. Default: a journal file beside the output."),
    ] = "",
    study: Annotated[
        str, panel(RUNNING, "--study", help="Name of the study in the storage. Default: from the analysis and all settings.")
    ] = "",
    workers: Annotated[int, panel(RUNNING, "--workers", help="Number of processes that train at the same time; on a "
                                        "batch system, number of jobs.", min=1, max=1024)] = 1,
    heartbeat: Annotated[
        float, panel(RUNNING, "--heartbeat", help="Seconds between heartbeats. A trial without two of them is run again.")
    ] = 60.0,
    yes: Annotated[bool, panel(RUNNING, "--yes", "-y", help="Allow a grid of more than 1000 points.")] = False,
    threads: Annotated[
        int | None, panel(RUNNING, "--threads", help="Threads of torch for each worker. Default: number of processors "
                                        "divided by the number of workers.",
                          min=1, max=1024)
    ] = None,
    on: On = None,
    site: SiteFile = None,
    dry_run: DryRun = False,
    output: Output = None,
    store: Store = None,
) -> None:  # fmt: skip
    """Search for good settings: draw them from a space, train, and compare on the validation set.

    The same command continues an interrupted search, or, with more [bold]--trials[/bold], a complete one. To share a
    search, run the same command at the same time, also on other machines with the same storage. Test rows are never
    read.

    Example: [cyan]collidekit search top_tagging --space space.yaml --trials 40 --workers 2[/cyan]

    Writes search.html (history, importance, parallel coordinates, slices, CPU hours), trials.csv, and best.yaml, an
    analysis file with the best settings. Needs [bold]pip install 'collidekit\\[search]'[/bold].
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
