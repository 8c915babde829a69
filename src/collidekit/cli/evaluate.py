"""The verbs ``calibrate``, ``explain``, ``significance`` and ``robustness``."""

from pathlib import Path
from typing import Annotated

import typer

from collidekit.cli import complete
from collidekit.cli.app import (
    DATA,
    EVALUATE,
    RUNNING,
    AllowTrainingRows,
    DryRun,
    On,
    Output,
    SiteFile,
    Store,
    TrustCode,
    done_by_job,
    verb,
)
from collidekit.plain_text import literal

Checkpoint = Annotated[
    str,
    typer.Argument(help="A best_model.pt, the folder of a TrainingTask or of a published model, or the name of a "
                        "bundled model.", show_default=False, autocompletion=complete.checkpoints),
]  # fmt: skip
Threads = Annotated[
    int | None, typer.Option(help="Threads of torch.", min=1, max=1024, rich_help_panel=RUNNING, show_default=False)
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", help="Number of rows in a batch.", min=1, max=2**31 - 1, rich_help_panel=RUNNING)
]
SkipBadFiles = Annotated[
    bool,
    typer.Option("--skip-bad-files", help="Skip unreadable and empty files.", rich_help_panel=DATA),
]


@verb(EVALUATE)
def calibrate(
    checkpoint: Checkpoint,
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Files with truth that are not training files of the model. Default: the validation rows "
                            "of its training.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for numbers and plots. Default: calibration, beside the checkpoint.",
                     show_default=False),
    ] = None,
    skip_bad_files: SkipBadFiles = False,
    batch_size: BatchSize = 1024,
    threads: Threads = None,
    trust_code: TrustCode = False,
) -> None:  # fmt: skip
    """Calibrate the probabilities of a model: fit a temperature, and store it with the model.

    The temperature divides all outputs of the network before the softmax. [bold]collidekit predict --calibrated[/bold]
    uses it. Each training fits a temperature at its end. Use this verb for older trainings, or to fit on your own rows.

    Example: [cyan]collidekit calibrate results/TrainingTask/my_jets/v1/v1/04b9fbbb7c[/cyan]

    Writes the temperature into the checkpoint, and calibration.json and a reliability plot of each class into a folder.
    """
    from rich.console import Console

    from collidekit.tasks.calibrate import calibrate as fit
    from collidekit.tasks.calibrate import calibration_table

    done = fit(checkpoint, files or (), out, batch_size, skip_bad_files, threads)
    console = Console(soft_wrap=True, highlight=False)
    for message in done.skipped:
        console.print(f"[yellow]skipped:[/yellow] {literal(message)}")
    console.print(calibration_table(done.result))
    console.print(f"{done.result.rows:,} {literal(done.result.fitted_on)}")
    console.print(f"[bold green]Reliability plots[/bold green]: {literal(done.folder)}")
    console.print(f"[bold green]Temperature[/bold green] stored in {literal(done.path)}")


@verb(EVALUATE)
def explain(
    checkpoint: Checkpoint,
    files: Annotated[
        list[str],
        typer.Argument(help="Files: paths, globs, .txt lists, root:// URLs. With --row: one file.", show_default=False),
    ],
    row: Annotated[
        int | None,
        typer.Option(help="Explain only this row of the file; the first is 0.", show_default=False),
    ] = None,
    member: Annotated[
        int, typer.Option(help="Number of the row in its event, if rows are inside events ('rows: Jet').")
    ] = 0,
    score: Annotated[
        list[str] | None,
        typer.Option(help="A discriminator, a class against all others, or a target of rows. May be repeated. "
                          "Default: the first discriminator and all targets.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for numbers and pictures.")] = Path("explained"),
    analysis: Annotated[
        str | None,
        typer.Option(help="Another analysis with the same inputs, for files of another layout. Default: the analysis "
                          "of the training.", rich_help_panel=DATA, show_default=False),
    ] = None,
    rows: Annotated[int, typer.Option(help="Number of rows, spread over the files.", min=2, rich_help_panel=RUNNING)] = 2000,
    repeats: Annotated[
        int, typer.Option(help="Number of permutations of each feature.", min=2, max=1000, rich_help_panel=RUNNING)
    ] = 3,
    steps: Annotated[
        int, typer.Option(help="Number of points of the gradient integral.", min=1, max=100_000, rich_help_panel=RUNNING)
    ] = 32,
    baseline: Annotated[
        str, typer.Option(help="Start of the integral: the mean of each feature, or (default) its default if it has "
                               "one.", rich_help_panel=RUNNING)
    ] = "mean",
    seed: Annotated[int, typer.Option(help="Random seed of the permutations.", min=0, max=2**63 - 1, rich_help_panel=RUNNING)] = 0,
    batch_size: BatchSize = 512,
    threads: Threads = None,
    allow_training_rows: AllowTrainingRows = False,
    trust_code: TrustCode = False,
) -> None:  # fmt: skip
    """Compute the importance of features, or the contribution of each constituent to the score of one row.

    For a sample: the loss of AUC when a feature is permuted (if the files have the truth), and the contribution of each
    feature to the score, by integrated gradients. For targets of rows: the loss of efficiency of an assignment, or the
    increase of residuals. For one row: the constituents in the plane of their coordinates with their contributions to
    the score, and attention if the network has it.

    Example: [cyan]collidekit explain best_model.pt samples/top_tagging/test.root --row 17[/cyan]

    Writes JSON, PNG and PDF into a folder.
    """
    import torch
    from rich.console import Console

    from collidekit.analysis.labels import without_latex
    from collidekit.evaluation.importance.explain import Settings, explain_files
    from collidekit.evaluation.importance.report import importance_table, target_table

    if threads:
        torch.set_num_threads(threads)
    settings = Settings(tuple(score or ()), rows, repeats, steps, baseline, seed, batch_size)  # type: ignore[arg-type]
    done = explain_files(checkpoint, files, out, settings, row, member, analysis, allow_training_rows)
    console = Console(soft_wrap=True, highlight=False)
    if done.warning:
        console.print(f"[bold red]{literal(done.warning)}[/bold red]")
    for sample in done.samples:
        console.print(importance_table(sample))
    for target in done.targets:
        console.print(target_table(target))
    for explained in done.rows:
        console.print(
            f"{literal(without_latex(explained.score_label))} = {explained.value:.3f}, at the baseline {explained.baseline:.3f}"
        )
        for item in sorted(explained.items, key=lambda item: -abs(item.attribution))[:10]:
            console.print(f"  {item.attribution:+9.3f}  {without_latex(item.label)} of {item.input}", markup=False)
    for note in done.notes:
        console.print(f"[yellow]{literal(note)}[/yellow]")
    console.print(f"[bold green]Pictures[/bold green]: {literal(done.folder)}")


@verb(EVALUATE)
def significance(
    analysis: Annotated[
        str, typer.Argument(help="An analysis file with a figure of merit, or the name of a bundled one.", show_default=False)
    ],
    files: Annotated[
        list[str] | None,
        typer.Option("--files", "-f", help="Training files. May be repeated.", metavar="FILES", show_default=False,
                     rich_help_panel=DATA),
    ] = None,
    test_files: Annotated[
        list[str] | None,
        typer.Option("--test-files", "-t", help="Test files. May be repeated.", metavar="FILES", show_default=False,
                     rich_help_panel=DATA),
    ] = None,
    variants: Annotated[
        str,
        typer.Option(help="Objectives to compare with the tuned threshold: relegator, relegator_factor, relegator_difference, "
                     "modified_binary, disco."),
    ] = "relegator",
    seeds: Annotated[str, typer.Option(help="Train each objective with each of these random seeds.")] = "1,2,3",
    model: Annotated[str | None, typer.Option(help="The network.", show_default=False)] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other parameter of TrainingTask. May be repeated.", metavar="NAME=VALUE",
                     show_default=False),
    ] = None,
    threads: Threads = None,
    on: On = None,
    site: SiteFile = None,
    dry_run: DryRun = False,
    trust_code: TrustCode = False,
    output: Output = None,
    store: Store = None,
) -> None:  # fmt: skip
    """Compare training objectives by the significance of the signal: relegation and others with a tuned threshold.

    The key [bold]figure_of_merit[/bold] of the analysis file defines the expected yields and the window. For simulated
    moons, the last column is the best possible significance.

    Example: [cyan]collidekit significance moons --files train.root --test-files test.root[/cyan]

    Writes a table as JSON, and plots: significance of each seed and against coverage, risk against coverage, masses
    before and after relegation, decisions, confusion matrix.
    """
    from rich.console import Console

    from collidekit.tasks.base import run_with_requirements
    from collidekit.tasks.jobs import run_as_jobs
    from collidekit.tasks.significance import significance_task
    from collidekit.tasks.to_report import parse_settings

    named = {
        "model_name": model,
        "n_threads": threads,
        "seeds": tuple(seeds.split(",")),
        "variants": tuple(variants.split(",")),
    }
    task = significance_task(analysis, files or (), test_files or (), {**parse_settings(settings or ()), **named})
    existed = task.complete()
    if not run_as_jobs(task, on, site, dry_run):
        return
    if task.complete():
        console = Console(soft_wrap=True, highlight=False)
        console.print(task.table())
        note = " (existing result)" if existed else ""
        console.print(f"[bold green]Significance[/bold green]{note}: {literal(task.folder)}")
        return
    run_with_requirements(task)


@verb(EVALUATE)
def robustness(
    runs: Annotated[
        list[str],
        typer.Argument(help="Trained taggers: folders of a TrainingTask, checkpoints, or bundled models. The first "
                            "one is the reference. Taggers that differ only by their random seed are combined.",
                       show_default=False),
    ],
    files: Annotated[
        list[str],
        typer.Option("--files", "-f", help="Files with truth that are not training files of any tagger. May be repeated.",
                     metavar="FILES", show_default=False, rich_help_panel=DATA),
    ],
    attacks: Annotated[
        str, typer.Option(help="Attacks: noise, shift, fgsm, pgd, ngm, jetfool, optimizer. Plots show the last one with a gradient.")
    ] = "noise,fgsm,pgd",
    magnitudes: Annotated[str, typer.Option(help="Magnitudes of the attacks, in units of the width of each "
                                        "feature.")] = "0.01,0.02,0.05,0.1",
    shown: Annotated[float, typer.Option(help="Magnitude of the plots of shapes.", min=0)] = 0.05,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other parameter of an attack, such as attack_space=momenta. May be repeated.",
                     metavar="NAME=VALUE", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for numbers, pictures and HTML page.")] = Path("robustness"),
    analysis: Annotated[
        str | None,
        typer.Option(help="Another analysis with the same inputs, for files of another layout. Default: the analysis "
                          "of the first training.", rich_help_panel=DATA, show_default=False),
    ] = None,
    rows: Annotated[int, typer.Option(help="Number of rows, spread over the files.", min=2, rich_help_panel=RUNNING)] = 10_000,
    threads: Threads = None,
    allow_training_rows: AllowTrainingRows = False,
    on: On = None,
    site: SiteFile = None,
    dry_run: DryRun = False,
    trust_code: TrustCode = False,
) -> None:  # fmt: skip
    """Measure AUC and rejection under attacks, with the gradient of the tagger and of the other taggers.

    Noise usually reduces the AUC less than an attack along the gradient. A tagger that was trained with attacks should
    lose less in both cases. If a defence only hides the gradient, noise and the gradients of other taggers show it.

    Example: [cyan]collidekit robustness top-tagging/pfn --files test.parquet[/cyan]

    Writes robustness.json, pictures and the page robustness.html into a folder.
    """
    import torch
    from rich.console import Console

    from collidekit.errors import CollidekitError
    from collidekit.evaluation.robustness.study import run_study
    from collidekit.readers.files import check_local_files
    from collidekit.tasks.attacks import attack_settings
    from collidekit.tasks.robustness import attack_plan, load_models, numbers, show, study_of_models

    if threads:
        torch.set_num_threads(threads)
    plan = attack_plan(attacks.split(","), numbers(magnitudes.split(",")), attack_settings(settings or ()))
    if out.exists() and not out.is_dir():
        raise CollidekitError(f"{out}: is a file; name a folder to write to")
    if on or site:
        check_local_files(files)
        load_models(runs, analysis)
    if done_by_job("attacks", out / "robustness.html", on, site, dry_run):
        return
    study = study_of_models(runs, files, plan, shown, rows, analysis, allow_training_rows)
    show(run_study(study, out), study.title, list(study.analysis.discriminators))
    Console(soft_wrap=True).print(
        f"[bold green]Robustness[/bold green]: {literal(out / 'robustness.html')}", highlight=False
    )
