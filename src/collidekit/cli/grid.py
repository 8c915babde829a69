"""The verb ``grid``."""

from typing import Annotated

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
def grid(
    analysis: Analysis,
    over: Annotated[
        list[str],
        panel(TRAINING, "--over", help="A setting and its values: --over model_options.width=32,64 --over "
                                       "epochs=5,10. May be repeated. Each combination is a point.", metavar="NAME=VALUES"),
    ],
    seeds: EachSeed = None,
    files: TrainingFiles = None,
    settings: ForAll = None,
    yes: Annotated[bool, panel(RUNNING, "--yes", "-y", help="Allow more than 1000 trainings.")] = False,
    threads: Annotated[int | None, panel(RUNNING, "--threads", help="Threads of torch.", min=1, max=1024)] = None,
    on: On = None,
    site: SiteFile = None,
    dry_run: DryRun = False,
    output: Output = None,
    store: Store = None,
) -> None:  # fmt: skip
    """Train at each point of a grid of settings, and compare the points on the validation set.

    The point with the smallest mean validation loss is best. Existing trainings are not run again. If a training fails,
    its error is printed and the others continue. Test rows are never read.

    Example: [cyan]collidekit grid ttbar_dilepton --over model_options.width=16,32 --over learning_rate=0.001,0.003
    --seeds 1,2[/cyan]

    Writes a table (JSON, CSV, LaTeX), a plot with parallel coordinates, and best.yaml, an analysis file with the
    settings of
    the best point.
    """
    from collidekit.tasks.grid import GridTask, run_grid, run_grid_as_jobs
    from collidekit.tasks.to_report import parse_settings

    given = parse_settings(settings or (), GridTask)
    if threads is not None:
        given["n_threads"] = threads
    task = GridTask(
        config=analysis, over=";".join(over), seeds=split(seeds), filelist=tuple(files or ()),
        yes=yes, **given,
    )  # fmt: skip
    if run_grid_as_jobs(task, on, site, dry_run):
        run_grid(task)
