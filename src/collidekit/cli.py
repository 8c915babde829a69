"""The command ``collidekit``: one verb for each thing people do, thin over the tasks and functions that do them."""

import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from collidekit import __version__
from collidekit.cli_app import (
    CARD,
    DATA,
    DO,
    ENSEMBLE,
    KEEP,
    LOOK,
    MAKE,
    SHARE,
    TRAINING,
    WORK,
    Output,
    TrustCode,
    app,
    panel,
    results_folder,
    verb,
)
from collidekit.errors import CollidekitError
from collidekit.plain_text import literal

Analysis = Annotated[str, typer.Argument(help="An analysis file, or the name of one that ships.", show_default=False)]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"collidekit {__version__}")
        raise typer.Exit


@app.callback()
def collidekit(
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the results of run, demo and clean.",
            envvar="COLLIDEKIT_OUTPUT",
            show_default="./results",
            callback=results_folder,
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


@verb(DO)
def demo(
    sample: Annotated[str, typer.Option(help="The sample: top-tagging or jet-flavour.")] = "top-tagging",
    threads: Annotated[int | None, panel(WORK, "--threads", help="Threads of torch.", min=1, max=1024)] = None,
    output: Output = None,
) -> None:
    """See it work: train a tagger on a simulated sample that ships, in minutes, without a network connection.

    Example: [cyan]collidekit demo --sample jet-flavour[/cyan]

    Writes a folder of results with the ROC curves and an HTML report, under [bold]./results[/bold] or
    [bold]--output[/bold]. Run again, it shows the same results at once.
    """
    from collidekit.tasks.demo import run_demo

    run_demo(sample, threads)


@verb(DO)
def run(
    analysis: Analysis,
    files: Annotated[
        list[str] | None,
        panel(DATA, "--files", "-f", help="Files to learn from: a path, a glob in quotes, a .txt list or a root:// url. "
               "May be repeated. Without it: those that the analysis file names.", metavar="FILES"),
    ] = None,
    test_files: Annotated[
        list[str] | None,
        panel(DATA, "--test-files", "-t", help="Files to judge the tagger by. Without it: those that the analysis file "
               "names, else the validation rows.", metavar="FILES"),
    ] = None,
    dataset_version: Annotated[str | None, panel(DATA, "--dataset-version", help="A name of yours for the dataset.")] = None,
    skip_bad_files: Annotated[
        bool, panel(DATA, "--skip-bad-files", help="Go on without files that cannot be read, and count them.")
    ] = False,
    training_version: Annotated[
        str | None, panel(TRAINING, "--training-version", help="A name of yours for the training.")
    ] = None,
    model: Annotated[
        str | None, panel(TRAINING, "--model", help="The network: pfn, mlp, or a file my_network.py.")
    ] = None,
    from_checkpoint: Annotated[
        str | None,
        panel(TRAINING, "--from", help="Fine-tune: begin with the weights of this checkpoint, folder of a training or model "
               "that ships, and a fresh head.", metavar="CHECKPOINT"),
    ] = None,
    epochs: Annotated[int | None, panel(TRAINING, "--epochs", help="Passes over the training rows.")] = None,
    batch_size: Annotated[int | None, panel(TRAINING, "--batch-size", help="Rows in a step.")] = None,
    learning_rate: Annotated[
        float | None, panel(TRAINING, "--learning-rate", help="The largest learning rate.")
    ] = None,
    seed: Annotated[int | None, panel(TRAINING, "--seed", help="Decides all that is random.")] = None,
    folds: Annotated[
        int | None,
        panel(TRAINING, "--folds", help="Split the rows into so many parts and train one network for each, which it never "
               "sees. Without test files every row is predicted by that network."),
    ] = None,
    fold: Annotated[int | None, panel(TRAINING, "--fold", help="Only the network of this fold, from 0 on.")] = None,
    seeds: Annotated[
        str | None,
        panel(TRAINING, "--seeds", help="Train once with each of these seeds, and combine them to an ensemble: 1,2,3",
               metavar="SEEDS"),
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        panel(TRAINING, "--checkpoint", help="Train nothing: judge this checkpoint, folder or model that ships. Repeated: "
               "the ensemble of them.", metavar="CHECKPOINT"),
    ] = None,
    combine: Annotated[
        str | None, panel(TRAINING, "--combine", help="How an ensemble is combined: mean (the default) or median.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        panel(TRAINING, "--set", help="Any other parameter of TrainingTask. May be repeated: "
               "--set optimizer=SGD --set ema_decay=0.999", metavar="NAME=VALUE"),
    ] = None,
    workers: Annotated[int | None, panel(WORK, "--workers", help="Processes that read files.")] = None,
    executor: Annotated[
        str | None, panel(WORK, "--executor", help="Who reads files: futures (processes here) or dask (a cluster).")
    ] = None,
    scheduler: Annotated[
        str | None,
        panel(WORK, "--scheduler", help="The Dask cluster: an address or a scheduler file. Without it: one of this "
               "machine.", metavar="ADDRESS"),
    ] = None,
    threads: Annotated[int | None, panel(WORK, "--threads", help="Threads of torch.", min=1, max=1024)] = None,
    trust_code: TrustCode = False,
    output: Output = None,
) -> None:  # fmt: skip
    """From files to the report: construct the dataset, train, predict, draw ROC curves, find working points.

    What is there already is not made again, and what was interrupted goes on where it was. A setting that is not given
    is the one that the analysis file recommends.

    With [bold]--seeds[/bold] each seed is trained, judged on its own, and in an ensemble; with [bold]--checkpoint[/bold] a
    model that is trained already is judged.

    Example: [cyan]collidekit run top_tagging_reference --files train.parquet --test-files test.parquet --epochs 10[/cyan]

    Writes one folder for each step under [bold]./results[/bold] or [bold]--output[/bold], named by everything that
    decides what is in it; the path of report.html comes last.
    """
    from collidekit.tasks.to_report import parse_settings, report_task, run_to_report

    named = {
        "dataset_version": dataset_version, "skip_bad_files": skip_bad_files or None, "training_version": training_version,
        "model_name": model, "from_checkpoint": from_checkpoint, "epochs": epochs,
        "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed, "folds": folds, "fold": fold,
        "coffea_worker": workers, "executor": executor, "scheduler": scheduler, "n_threads": threads,
        "seeds": tuple(seeds.split(",")) if seeds is not None else None, "combine": combine,
        "checkpoint": tuple(checkpoint) if checkpoint else None,
    }  # fmt: skip
    run_to_report(
        report_task(analysis, files or (), test_files or (), {**parse_settings(settings or ()), **_given(named)})
    )


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given; an empty text is an error, since it names nothing."""
    for name, value in settings.items():
        if value == "":
            raise CollidekitError(
                f"--{name.removesuffix('_name').replace('_', '-')}: the value is empty; leave it out or give one"
            )
    return {name: value for name, value in settings.items() if value is not None}


@verb(DO)
def predict(
    checkpoint: Annotated[
        str,
        typer.Argument(help="A best_model.pt, the folder of a TrainingTask, of a report or of a published model, or the name of "
                       "a model that ships.", show_default=False),
    ],
    files: Annotated[list[str], typer.Argument(help="Files: paths, globs, .txt lists, root:// urls.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="What to write: .root or .parquet.", show_default=False)],
    analysis: Annotated[
        str | None,
        panel(DATA, "--analysis", help="Another analysis with the same inputs, for files of another layout. Without it: "
               "the one of the training."),
    ] = None,
    skip_bad_files: Annotated[bool, panel(DATA, "--skip-bad-files", help="Go on without files that cannot be read.")] = False,
    others: Annotated[
        list[str] | None,
        panel(ENSEMBLE, "--with", "-w", help="A further checkpoint: their probabilities are combined. May be repeated.",
               metavar="CHECKPOINT"),
    ] = None,
    combine: Annotated[
        str | None, panel(ENSEMBLE, "--combine", help="How: mean (the default) or median of the probabilities.")
    ] = None,
    members: Annotated[
        bool, panel(ENSEMBLE, "--members", help="Write the probabilities of each member too, as prob_<class>_1, _2 ...")
    ] = False,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="Probabilities at the temperature that is stored with the model.")
    ] = False,
    batch_size: Annotated[int, panel(WORK, "--batch-size", help="Rows at a time.")] = 1024,
    threads: Annotated[int | None, panel(WORK, "--threads", help="Threads of torch.", min=1, max=1024)] = None,
    trust_code: TrustCode = False,
) -> None:  # fmt: skip
    """Use a trained tagger on new files: class probabilities and discriminators, one row for each selected row.

    Rows come in the order of the files; [bold]file[/bold] and [bold]row[/bold] say where each one is from. The truth
    may be absent; where it is there, the AUC is shown. With [bold]--with[/bold] several taggers predict as an ensemble, each
    with the analysis that it was trained with. Rows that a tagger has learned from are counted; with the members of folds (or
    the folder of their report) each such row is predicted by the member that did not see it.

    Example: [cyan]collidekit predict best_model.pt 'data/*.root' -o scores.parquet[/cyan]

    Writes one file, which appears under its name only when it is complete; an earlier one is replaced.
    """
    from rich.console import Console

    from collidekit.inference.ensemble import check_combination
    from collidekit.inference.predict_to_file import predict_to_file
    from collidekit.inference.run_folder import with_members

    first, *more = with_members([checkpoint, *(others or ())])
    if not more and (combine or members):
        raise CollidekitError("one checkpoint is no ensemble: name the others with --with")
    how = check_combination(combine or "mean")
    done = predict_to_file(
        first, files, out, analysis, batch_size, skip_bad_files, threads, more, how, members, calibrated
    )
    console = Console(soft_wrap=True, highlight=False)
    for message in done.skipped:
        console.print(f"[yellow]skipped:[/yellow] {literal(message)}")
    for note in done.notes:
        console.print(f"[yellow]{literal(note)}[/yellow]")
    if done.warning:
        console.print(f"[bold red]{literal(done.warning)}[/bold red]")
    console.print(f"{len(done.predictions):,} rows in {done.seconds:.1f} s ({done.rate:,.0f} rows/s)")
    if names := done.predictions.discriminators_with_truth():
        from collidekit.tasks.roc import ensemble_table, measure_all, roc_table

        results, ensembles = measure_all(done.predictions, names=names, members=done.members)
        console.print(roc_table(results))
        for ensemble in ensembles:
            console.print(ensemble_table(ensemble))
    if names := done.predictions.values_with_truth():
        from collidekit.evaluation.residuals import measure_residuals
        from collidekit.tasks.residuals import residual_table

        console.print(residual_table(measure_residuals(done.predictions, names)))
    console.print(f"[bold green]Predictions[/bold green]: {literal(done.path)}")


@verb(LOOK)
def init(
    files: Annotated[list[str], typer.Argument(help="Your files: paths, globs, .txt lists.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The analysis file to write.")] = Path("analysis.yaml"),
    tree: Annotated[
        str | None,
        typer.Option(help="The tree of a ROOT file with several, or the group of an HDF5 file.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
) -> None:
    """Begin an analysis of your own: look at your files and write a commented analysis file for them.

    Guesses collections, four-momenta, the columns of the jet, and which column is the truth; what looks like truth or like
    another tagger's score becomes a comment and no input. Read the file once before you run it.

    Example: [cyan]collidekit init 'data/*.root' -o my_analysis.yaml[/cyan]

    Writes one file, and never over one that is there already unless told to.
    """
    from rich.console import Console

    from collidekit.starter.starter import start_analysis

    made = start_analysis(files, out, tree, force)
    console = Console(highlight=False, soft_wrap=True)
    if made.guess.rows:
        console.print(f"Rows     each {literal(made.guess.rows)} of an event")
    for name, entry in made.analysis.inputs.items():
        console.print(f"Input    {name}: {len(entry.features)} features")
    if made.guess.label:
        counts = ", ".join(f"{literal(name)} {count:,}" for name, count in made.class_counts.items())
        console.print(f"Classes  {counts} (in {made.looked_at:,} entries)")
    else:
        console.print("Classes  [yellow]no column looks like the truth: fill them in before you run[/yellow]")
    console.print(
        f"[bold green]Written[/bold green]: {literal(made.path)}\nNext:    [cyan]collidekit check {literal(made.path)}[/cyan]"
    )


@verb(LOOK)
def check(
    analysis: Analysis,
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Files to look at. Without them: those that the analysis file names.", show_default=False),
    ] = None,
    named_files: Annotated[
        list[str] | None, panel(DATA, "--files", "-f", help="The same, as run has them. May be repeated.", metavar="FILES")
    ] = None,
    test_files: Annotated[
        list[str] | None,
        panel(DATA, "--test-files", "-t", help="Test files, which must not share rows with the others. May be repeated.",
               metavar="FILES"),
    ] = None,
    rows: Annotated[int | None, panel(WORK, "--rows", help="Look at so many rows only, spread over the files.", min=1)] = None,
) -> None:  # fmt: skip
    """Find what would spoil a training before it does: one pass over the files, in bounded memory.

    Shows rows, cutflow, classes, the range of each feature, and what the dataset will take. Finds missing branches, rows in
    two classes, NaN, constant features, repeated rows, rows that are in both training and test files, wrong training
    settings of the analysis file, and features that alone separate classes better than all others together: those are often truth.

    Example: [cyan]collidekit check my_analysis.yaml 'train/*.root' --test-files 'test/*.root'[/cyan]

    Writes nothing. Exit code 2 if there are errors, 0 if there are only warnings.
    """
    from rich.console import Console

    from collidekit.dataset.check import check_named
    from collidekit.dataset.check_tables import show
    from collidekit.training.choice import check_recommended

    found = check_named(analysis, [*(files or ()), *(named_files or ())] or None, test_files, rows)
    show(found, Console())
    check_recommended(found.plan)
    if found.errors:
        raise typer.Exit(2)


@verb(LOOK)
def trace(
    analysis: Analysis,
    file: Annotated[str, typer.Argument(help="The file.", show_default=False)],
    row: Annotated[int, typer.Argument(help="Number of the row in the file; the first is 0.", show_default=False)],
    member: Annotated[
        int, typer.Option(help="Where an analysis has its rows inside of events ('rows: Jet'): which one of the event.")
    ] = 0,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="A best_model.pt, the folder of a TrainingTask or of a published model, or a model that ships: "
                     "show the scaled inputs and the answer of its network too.", show_default=False),
    ] = None,
    trust_code: TrustCode = False,
) -> None:  # fmt: skip
    """Answer "why this number?": follow one row from the file to the network.

    Shows the values in the file, each condition of the selection, each variable after those it needs, the class, and each
    feature with what happened on its way: default, bounds, order and limit.

    Example: [cyan]collidekit trace top_tagging_reference jets.parquet 1234 --checkpoint best_model.pt[/cyan]

    Writes nothing.
    """
    from rich.console import Console

    from collidekit.analysis.load import read_analysis
    from collidekit.analysis.scope import Plan
    from collidekit.dataset.trace import trace as follow
    from collidekit.dataset.trace_tables import show
    from collidekit.shipped import find_analysis

    found = follow(Plan(*read_analysis(find_analysis(analysis))), file, row, member)
    if checkpoint is None:
        show(found, Console())
        return
    from collidekit.inference.trace_network import ask, show_answer

    answer = ask(checkpoint, found)
    show(found, Console(), answer.scaled)
    show_answer(answer, Console())


@verb(SHARE)
def models(
    name: Annotated[
        str | None, typer.Argument(help="A model that ships, or the folder of one: print its card.", show_default=False)
    ] = None,
) -> None:
    """List the trained models that ship, or print the card of one: data, recipe, scores, limits.

    Use one by its name, as in [cyan]collidekit predict top-tagging/pair_transformer FILES -o scores.root[/cyan].

    Example: [cyan]collidekit models[/cyan]

    Writes nothing.
    """
    from rich.console import Console

    from collidekit.publishing.shelf import show_card, show_models

    if name is None:
        show_models(Console())
    else:
        show_card(name, Console())


@verb(SHARE)
def publish(
    checkpoint: Annotated[
        str, typer.Argument(help="A best_model.pt, or the folder of a TrainingTask.", show_default=False)
    ],
    folder: Annotated[Path, typer.Argument(help="The folder to write.", show_default=False)],
    test_files: Annotated[
        list[str] | None,
        panel(DATA, "--test-files", "-t", help="Measure the scores of the card on these files. May be repeated.",
               metavar="FILES"),
    ] = None,
    data: Annotated[
        str | None,
        panel(CARD, "--data", help="What it learned from, in a few words: 'Top Quark Tagging Reference Dataset'."),
    ] = None,
    licence: Annotated[str | None, panel(CARD, "--licence", help="The licence of these data, such as CC-BY-4.0.")] = None,
    skip_bad_files: Annotated[bool, panel(DATA, "--skip-bad-files", help="Go on without files that cannot be read.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a model that is there, and its card.")] = False,
    threads: Annotated[int | None, panel(WORK, "--threads", help="Threads of torch.", min=1, max=1024)] = None,
    trust_code: TrustCode = False,
) -> None:  # fmt: skip
    """Make a model that can be given to others: weights as safetensors, a description as JSON, a model card.

    What is known of the training fills the card: network, settings, rows, epochs, time, versions. With
    [bold]--test-files[/bold] the scores are measured with the weights that were written. What only you can know is marked
    AUTHOR in the card.

    Example: [cyan]collidekit publish best_model.pt my_tagger --test-files 'test/*.root' --licence CC-BY-4.0[/cyan]

    Writes model.safetensors, model.json and README.md into the folder.
    """
    from rich.console import Console

    from collidekit.publishing.publish import publish as make

    made = make(checkpoint, folder, test_files or (), data, licence, force, skip_bad_files, threads)
    console = Console(soft_wrap=True, highlight=False)
    for message in made.skipped:
        console.print(f"[yellow]skipped:[/yellow] {literal(message)}")
    if made.warning:
        console.print(f"[bold red]{literal(made.warning)}[/bold red]")
    if made.results:
        from collidekit.tasks.roc import roc_table

        console.print(roc_table(made.results))
    console.print(f"[bold green]Published[/bold green]: {literal(made.folder)} ({made.size / 1e6:.2f} MB)")
    if made.open_marks:
        places = "1 place" if made.open_marks == 1 else f"{made.open_marks} places"
        console.print(
            f"Next: write what only you know into {literal(made.folder / 'README.md')}: {places} marked AUTHOR"
        )


@verb(MAKE)
def simulate(
    sample: Annotated[str, typer.Argument(help="top-tagging, jet-flavour or moons.", show_default=False)],
    jets: Annotated[
        int, typer.Option("--jets", "--events", "-n", help="How many jets, or events of moons.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file to write: .root; for jet-flavour also .json.gz.", show_default=False)
    ],
    source: Annotated[
        Path | None, typer.Option("--from", help="A ROOT file of the sample jet-flavour: its first jets in place of new ones.",
                                  show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same jets, with any number of workers.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    mantissa_bits: Annotated[
        int | None, typer.Option(help="Keep so many bits of each float of constituents, for smaller files (1 to 23).",
                                 show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the sample: --set noise=0.3. May be repeated.",
                                       metavar="NAME=VALUE", show_default=False),
    ] = None,
) -> None:  # fmt: skip
    """Simulate jets with Pythia and FastJet, and a parametrised detector; or two moons with a mass.

    Jets need the extra packages of [bold]pip install 'collidekit\\[simulate]'[/bold].

    Example: [cyan]collidekit simulate top-tagging --jets 10000 -o jets.root --workers 4[/cyan]

    Settings of moons: noise, angle, min_mass, max_mass, mean, width, beta.

    Writes one ROOT file with the TTree [bold]tree[/bold], which appears under its name only when it is complete; jets of
    jet-flavour under a name that ends in .json.gz as JSON lines, in the layout of the public data of arXiv 1607.08633.
    """
    from collidekit.simulation import simulate as make
    from collidekit.simulation.samples import find_sample, parse_settings

    written = make(sample, out, jets, seed, workers, mantissa_bits, parse_settings(settings or []), source)
    typer.echo(f"{jets:,} {sample} {find_sample(sample).rows}: {written}")


@verb(KEEP)
def clean(
    remove: Annotated[bool, typer.Option("--remove", help="Remove what can be freed, after a question.")] = False,
    checkpoints: Annotated[
        bool,
        typer.Option("--checkpoints", help="Also the checkpoints model_N.pt of complete trainings, but for the best and "
                     "the last epoch."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without the question.")] = False,
    output: Output = None,
) -> None:  # fmt: skip
    """See what takes space in the results, and remove what nothing needs.

    Datasets that nothing was made from, unfinished outputs, and what killed processes left can be removed; the same
    command constructs a dataset again. Trainings, predictions, curves, working points and reports are results: they always
    stay. So does everything of the last hour.

    Example: [cyan]collidekit clean --remove[/cyan]

    Writes nothing, and removes nothing without [bold]--remove[/bold].
    """
    from collidekit.outputs.clean import clean_results, show_results
    from collidekit.tasks.base import results_folder

    if remove:
        clean_results(results_folder(), checkpoints, ask=not yes)
    else:
        show_results(results_folder(), checkpoints)


from collidekit import cli_judge, cli_look  # noqa: F401 - after the verbs that come before them in the help


def main() -> None:
    """Run the command; characters that the terminal cannot show are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
