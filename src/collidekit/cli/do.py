"""The verbs ``demo``, ``run`` and ``predict``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from collidekit.cli import complete
from collidekit.cli.app import (
    DATA,
    ENSEMBLE,
    PIPELINE,
    RUNNING,
    TRAINING,
    AllowTrainingRows,
    Analysis,
    DryRun,
    On,
    Output,
    Quiet,
    SiteFile,
    Store,
    TrustCode,
    done_by_job,
    panel,
    verb,
)
from collidekit.errors import CollidekitError
from collidekit.plain_text import literal


@verb(PIPELINE)
def demo(
    sample: Annotated[str, typer.Option(help="The sample: top-tagging or jet-flavour.")] = "top-tagging",
    threads: Annotated[int | None, panel(RUNNING, "--threads", help="Threads of torch.", min=1, max=1024)] = None,
    output: Output = None,
    store: Store = None,
    quiet: Quiet = False,
) -> None:
    """Train a tagger on a bundled simulated sample, in minutes and without a network connection.

    Example: [cyan]collidekit demo --sample jet-flavour[/cyan]

    Writes a folder of results with the ROC curves and an HTML report, under [bold]./results[/bold] or
    [bold]--output[/bold]. A second run shows the same results without training.
    """
    from collidekit.tasks.demo import run_demo

    run_demo(sample, threads)


@verb(PIPELINE)
def run(
    analysis: Analysis,
    files: Annotated[
        list[str] | None,
        panel(DATA, "--files", "-f", help="Training files: a path, a glob in quotes, a .txt list or a root:// URL. "
                                        "May be repeated. Default: those of the analysis file.", metavar="FILES"),
    ] = None,
    test_files: Annotated[
        list[str] | None,
        panel(DATA, "--test-files", "-t", help="Test files. Default: those of the analysis file, else the validation "
                                        "rows.", metavar="FILES"),
    ] = None,
    dataset_version: Annotated[str | None, panel(DATA, "--dataset-version", help="A name that you choose for the dataset.")] = None,
    skip_bad_files: Annotated[
        bool, panel(DATA, "--skip-bad-files", help="Skip unreadable and empty files, and count them.")
    ] = False,
    training_version: Annotated[
        str | None, panel(TRAINING, "--training-version", help="A name that you choose for the training.")
    ] = None,
    model: Annotated[
        str | None, panel(TRAINING, "--model", autocompletion=complete.networks, help="The network: pfn, mlp, or a file my_network.py.")
    ] = None,
    from_checkpoint: Annotated[
        str | None,
        panel(TRAINING, "--from", autocompletion=complete.checkpoints, help="Fine-tuning: start with the weights of "
                                        "this checkpoint, folder of a training or bundled model, and a new head.", metavar="CHECKPOINT"),
    ] = None,
    epochs: Annotated[int | None, panel(TRAINING, "--epochs", help="Number of epochs.")] = None,
    batch_size: Annotated[int | None, panel(TRAINING, "--batch-size", help="Number of rows in a step.")] = None,
    learning_rate: Annotated[
        float | None, panel(TRAINING, "--learning-rate", help="The largest learning rate.")
    ] = None,
    seed: Annotated[int | None, panel(TRAINING, "--seed", help="Random seed.")] = None,
    folds: Annotated[
        int | None,
        panel(TRAINING, "--folds", help="Number of folds: one network is trained for each part of the rows, on the other parts. Without test files, each row is predicted by the network that was not trained on it."),
    ] = None,
    fold: Annotated[int | None, panel(TRAINING, "--fold", help="Train only the network of this fold, from 0 on.")] = None,
    fold_rule: Annotated[
        str | None,
        panel(TRAINING, "--fold-rule", help="How rows are assigned to folds: hash of the event number, or remainder "
                                        "(event number % folds; even and odd events with 2 folds). Default: hash.", metavar="RULE"),
    ] = None,
    seeds: Annotated[
        str | None,
        panel(TRAINING, "--seeds", help="Train once with each of these random seeds, and combine the networks to an ensemble: 1,2,3",
               metavar="SEEDS"),
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        panel(TRAINING, "--checkpoint", autocompletion=complete.checkpoints, help="No training: evaluate this "
                                        "checkpoint, folder or bundled model. Repeat it for an ensemble.", metavar="CHECKPOINT"),
    ] = None,
    combine: Annotated[
        str | None, panel(TRAINING, "--combine", help="How an ensemble is combined: mean (default) or median.")
    ] = None,
    allow_training_rows: AllowTrainingRows = False,
    settings: Annotated[
        list[str] | None,
        panel(TRAINING, "--set", help="Any other parameter of TrainingTask. May be repeated: "
               "--set optimizer=SGD --set ema_decay=0.999", metavar="NAME=VALUE"),
    ] = None,
    track: Annotated[
        str | None,
        panel(RUNNING, "--track", help="Trackers that record the training, separated by commas: csv, tensorboard, "
                                    "mlflow, wandb, or a file my_tracker.py. Default: csv,tensorboard.", metavar="NAMES"),
    ] = None,
    track_files: Annotated[
        bool, panel(RUNNING, "--track-files", help="Also record the model and the tables in MLflow or Weights & Biases.")
    ] = False,
    track_online: Annotated[
        bool, panel(RUNNING, "--track-online", help="Upload runs of Weights & Biases to its server during the training.")
    ] = False,
    workers: Annotated[int | None, panel(RUNNING, "--workers", help="Number of processes that read files.")] = None,
    executor: Annotated[
        str | None, panel(RUNNING, "--executor", help="Where files are read: futures (processes on this machine) or dask (a cluster).")
    ] = None,
    scheduler: Annotated[
        str | None,
        panel(RUNNING, "--scheduler", help="The Dask cluster: an address or a scheduler file. Default: a cluster on this "
                                        "machine.", metavar="ADDRESS"),
    ] = None,
    threads: Annotated[int | None, panel(RUNNING, "--threads", help="Threads of torch.", min=1, max=1024)] = None,
    jobs: Annotated[
        int | None,
        panel(RUNNING, "--jobs", help="Number of parts of each construction and prediction: batch jobs with --on, else processes on this machine.",
               min=1, max=100_000),
    ] = None,
    devices: Annotated[
        int | None,
        panel(RUNNING, "--devices", help="Number of processes on each node that construct, train and predict together, "
                                      "each with its own GPU if there are GPUs.", min=1),
    ] = None,
    nodes: Annotated[
        int | None, panel(RUNNING, "--nodes", help="Number of nodes, if torchrun or srun started the processes.", min=1)
    ] = None,
    on: On = None,
    site: SiteFile = None,
    dry_run: DryRun = False,
    trust_code: TrustCode = False,
    output: Output = None,
    store: Store = None,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Run all steps from files to the report: dataset, training, prediction, ROC curves, working points.

    Existing results are not made again, and interrupted steps continue. Settings default to those of the analysis file.

    With [bold]--seeds[/bold], one network is trained and evaluated for each seed, and the ensemble is evaluated. With
    [bold]--checkpoint[/bold], a trained model is evaluated without training.

    Example: [cyan]collidekit run top_tagging_reference --files train.parquet --test-files test.parquet --epochs
    10[/cyan]

    Writes one folder for each step under [bold]./results[/bold] or [bold]--output[/bold]. The path of report.html is
    the last line.
    """
    from collidekit.tasks.jobs import run_as_jobs
    from collidekit.tasks.rank_parts import share_of_rank
    from collidekit.tasks.to_report import parse_settings, report_task, run_to_report
    from collidekit.training.ranks import follow, let_go

    named = {
        "dataset_version": dataset_version, "skip_bad_files": skip_bad_files or None, "training_version": training_version,
        "model_name": model, "from_checkpoint": from_checkpoint, "epochs": epochs,
        "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed, "folds": folds, "fold": fold,
        "fold_rule": fold_rule,
        "coffea_worker": workers, "executor": executor, "scheduler": scheduler, "n_threads": threads,
        "devices": devices, "nodes": nodes, "jobs": jobs,
        "seeds": tuple(seeds.split(",")) if seeds is not None else None, "combine": combine,
        "allow_training_rows": allow_training_rows or None,
        "checkpoint": tuple(checkpoint) if checkpoint else None,
        "track": tuple(track.split(",")) if track is not None else None, "track_files": track_files or None,
        "track_online": track_online or None,
    }  # fmt: skip
    given = {**parse_settings(settings or ()), **_given(named)}
    if follow(share_of_rank):
        return
    try:
        task = report_task(analysis, files or (), test_files or (), given)
        if run_as_jobs(task, on, site, dry_run):
            run_to_report(task)
    finally:
        let_go()


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given; raise an error for an empty text."""
    for name, value in settings.items():
        if value == "":
            raise CollidekitError(
                f"--{name.removesuffix('_name').replace('_', '-')}: the value is empty; give a value or leave the option out"
            )
    return {name: value for name, value in settings.items() if value is not None}


@verb(PIPELINE)
def predict(
    checkpoint: Annotated[
        str,
        typer.Argument(help="A best_model.pt, the folder of a TrainingTask, of a report, of a published model or of a bundle, or "
                       "the name of a bundled model.", show_default=False, autocompletion=complete.checkpoints),
    ],
    files: Annotated[list[str], typer.Argument(help="Files: paths, globs, .txt lists, root:// URLs.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: .root or .parquet.", show_default=False)],
    analysis: Annotated[
        str | None,
        panel(DATA, "--analysis", help="Another analysis with the same inputs, for files of another layout. Default: "
                                       "the analysis of the training."),
    ] = None,
    skip_bad_files: Annotated[bool, panel(DATA, "--skip-bad-files", help="Skip unreadable and empty files.")] = False,
    others: Annotated[
        list[str] | None,
        panel(ENSEMBLE, "--with", "-w", help="Another checkpoint, to combine the probabilities. May be repeated.",
               metavar="CHECKPOINT"),
    ] = None,
    combine: Annotated[
        str | None, panel(ENSEMBLE, "--combine", help="How the probabilities are combined: mean (default) or median.")
    ] = None,
    members: Annotated[
        bool, panel(ENSEMBLE, "--members", help="Also write the probabilities of each member, as prob_<class>_1, _2 ...")
    ] = False,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="Use the temperature that is stored with the model.")
    ] = False,
    batch_size: Annotated[int, panel(RUNNING, "--batch-size", help="Number of rows in a batch.", min=1, max=2**31 - 1)] = 1024,
    threads: Annotated[
        int | None, panel(RUNNING, "--threads", help="Threads of torch, or for a bundle of onnxruntime (default 1).", min=1, max=1024)
    ] = None,
    allow_training_rows: AllowTrainingRows = False,
    on: On = None,
    site: SiteFile = None,
    dry_run: DryRun = False,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Apply a trained tagger to new files: class probabilities and discriminators for each selected row.

    Rows are in the order of the files. The columns [bold]file[/bold] and [bold]row[/bold] name the file and entry of
    each row. The files may lack the truth; if they have it, AUC, residuals and efficiencies of assignments are printed.

    With [bold]--with[/bold], several taggers predict as an ensemble, each with the analysis of its training. Rows of
    the training set are an error without [bold]--allow-training-rows[/bold]. With all members of folds (or the folder
    of their report), each training row is predicted by the member that was not trained on it. A bundle uses
    onnxruntime, not torch.

    Example: [cyan]collidekit predict best_model.pt 'data/*.root' -o scores.parquet[/cyan]

    Writes one file. An existing file is replaced when the new one is complete.
    """
    from rich.console import Console

    from collidekit.inference.combination import check_combination
    from collidekit.inference.run_folder import with_members
    from collidekit.readers.files import check_local_files
    from collidekit.runtime.folder import all_bundles

    first, *more = with_members([checkpoint, *(others or ())])
    if not more and (combine or members):
        raise CollidekitError("--combine and --members need an ensemble: name more checkpoints with --with")
    how = check_combination(combine or "mean")
    if on or site:
        check_local_files(files, skip_bad_files)
    if all_bundles([first, *more]):
        from collidekit.runtime.predict_to_file import check_bundle_prediction, predict_bundles_to_file

        if calibrated:
            raise CollidekitError(
                "--calibrated: does not apply to a bundle; leave it out, and use collidekit export --calibrated to "
                "make a bundle with calibrated probabilities"
            )
        if on or site:
            check_bundle_prediction([first, *more], files, out, analysis, threads)
        if done_by_job("inference", out, on, site, dry_run):
            return
        done = predict_bundles_to_file(
            [first, *more], files, out, analysis, batch_size, skip_bad_files, threads, how, members, allow_training_rows
        )
    else:
        from collidekit.inference.predict_to_file import check_prediction, predict_to_file

        if on or site:
            check_prediction([first, *more], files, out, analysis, calibrated)
        if done_by_job("inference", out, on, site, dry_run):
            return
        done = predict_to_file(
            first,
            files,
            out,
            analysis,
            batch_size,
            skip_bad_files,
            threads,
            more,
            how,
            members,
            calibrated,
            allow_training_rows,
        )
    console = Console(soft_wrap=True, highlight=False)
    for message in done.skipped:
        console.print(f"[yellow]skipped:[/yellow] {literal(message)}")
    for note in done.notes:
        console.print(f"[yellow]{literal(note)}[/yellow]")
    if done.warning:
        console.print(f"[bold red]{literal(done.warning)}[/bold red]")
    if not quiet:
        console.print(f"{len(done.predictions):,} rows in {done.seconds:.1f} s ({done.rate:,.0f} rows/s)")
    if names := done.predictions.discriminators_with_truth():
        from collidekit.tasks.tables import ensemble_table, measure_all, roc_table

        results, ensembles = measure_all(done.predictions, names=names, members=done.members)
        console.print(roc_table(results))
        for ensemble in ensembles:
            console.print(ensemble_table(ensemble))
    if names := done.predictions.values_with_truth():
        from collidekit.evaluation.residuals import measure_residuals
        from collidekit.evaluation.uncertainties import measure_densities, measure_uncertainties
        from collidekit.tasks.tables import residual_table, uncertainty_tables

        console.print(residual_table(measure_residuals(done.predictions, names)))
        spreads, densities = measure_uncertainties(done.predictions, names), measure_densities(done.predictions)
        for table in uncertainty_tables(spreads, densities):
            console.print(table)
    if done.assignments:
        from collidekit.evaluation.assignment import measure_assignments
        from collidekit.tasks.tables import assignment_table

        if found := measure_assignments(done.predictions, done.assignments):
            console.print(assignment_table(found))
    console.print(f"[bold green]Predictions[/bold green]: {literal(done.path)}")
