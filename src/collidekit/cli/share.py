"""The verbs ``models``, ``publish``, ``export`` and ``verify``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from collidekit.cli import complete
from collidekit.cli.app import CARD, DATA, RUNNING, SHARE, AllowTrainingRows, AsJson, TrustCode, panel, verb
from collidekit.plain_text import literal


@verb(SHARE)
def models(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Print the card of a bundled model, or of the folder of a published model.",
            show_default=False,
            autocompletion=complete.bundled_models,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the bundled models, or print the card of one: data, recipe, scores, limits.

    Use a model by its name: [cyan]collidekit predict top-tagging/pair_transformer FILES -o scores.root[/cyan].

    Example: [cyan]collidekit models[/cyan]

    Writes nothing.
    """
    from rich.console import Console

    from collidekit.bundle.shelf import models_as_dict, show_card, show_models

    if as_json:
        typer.echo(json.dumps(models_as_dict(name), indent=1))
    elif name is None:
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
        panel(CARD, "--data", help="Short description of the training data: 'Top Quark Tagging Reference Dataset'."),
    ] = None,
    licence: Annotated[str | None, panel(CARD, "--licence", help="Licence of the training data, such as CC-BY-4.0.")] = None,
    skip_bad_files: Annotated[bool, panel(DATA, "--skip-bad-files", help="Skip unreadable and empty files.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing model and its card.")] = False,
    threads: Annotated[int | None, panel(RUNNING, "--threads", help="Threads of torch.", min=1, max=1024)] = None,
    allow_training_rows: AllowTrainingRows = False,
    trust_code: TrustCode = False,
) -> None:  # fmt: skip
    """Make a model for other people: weights as safetensors, a description as JSON, and a model card.

    The card contains the recorded facts of the training: network, settings, rows, epochs, time, versions. With
    [bold]--test-files[/bold], the scores are measured with the written weights. Fill in the places in the card that are
    marked AUTHOR.

    Example: [cyan]collidekit publish best_model.pt my_tagger --test-files 'test/*.root' --licence CC-BY-4.0[/cyan]

    Writes model.safetensors, model.json and README.md into the folder.
    """
    from rich.console import Console

    from collidekit.bundle.publish import publish as make

    made = make(
        checkpoint, folder, test_files or (), data, licence, force, skip_bad_files, threads, allow_training_rows
    )
    console = Console(soft_wrap=True, highlight=False)
    for message in made.skipped:
        console.print(f"[yellow]skipped:[/yellow] {literal(message)}")
    if made.warning:
        console.print(f"[bold red]{literal(made.warning)}[/bold red]")
    if made.results:
        from collidekit.tasks.tables import roc_table

        console.print(roc_table(made.results))
    if made.residuals:
        from collidekit.tasks.tables import residual_table

        console.print(residual_table(made.residuals))
    console.print(f"[bold green]Published[/bold green]: {literal(made.folder)} ({made.size / 1e6:.2f} MB)")
    if made.open_marks:
        places = "1 place" if made.open_marks == 1 else f"{made.open_marks} places"
        console.print(f"Next: fill in {places} marked AUTHOR in {literal(made.folder / 'README.md')}")


@verb(SHARE)
def export(
    checkpoint: Annotated[
        list[str],
        typer.Argument(help="A best_model.pt, the folder of a TrainingTask, of a report or of a published model, or "
                            "the name of a bundled model; for folds the folder of their report, or all checkpoints.", show_default=False),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The folder to write. Default: NAME_LAYOUT.", show_default=False)] = None,
    layout: Annotated[str, typer.Option("--layout", "-l", help="Layout of the consumer, see docs/export-layouts.md.")] = "generic",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the model. Default: name of the analysis.", show_default=False)
    ] = None,
    opset: Annotated[
        int | None, typer.Option("--opset", help="ONNX opset, 17 to 20. Default: from the layout.", show_default=False)
    ] = None,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="Include the temperature of the model in the graph.")
    ] = False,
    precision: Annotated[
        str, typer.Option("--precision", help="float32, float16 or int8. The card of the bundle shows the loss of precision.")
    ] = "float32",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option of the layout, such as label.light=u. May be repeated.", metavar="NAME=VALUE",
                     show_default=False),
    ] = None,
    files: Annotated[
        list[str] | None,
        panel(DATA, "--files", "-f", help="Files with real rows to check the graph and to find working points. "
                                        "Default: the test files of the analysis, else its training files. May be "
                                        "repeated.", metavar="FILES"),
    ] = None,
    rows: Annotated[int, panel(DATA, "--rows", help="Number of rows, spread over the files.", min=1, max=2**31 - 1)] = 20_000,
    analysis: Annotated[
        str | None,
        panel(DATA, "--analysis", help="Another analysis with the same inputs, for files of another layout. Default: "
                                       "the analysis of the training."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bundle.")] = False,
    trust_code: TrustCode = False,
) -> None:  # fmt: skip
    """Make a bundle for other programs: an ONNX graph with all preprocessing, and files to verify it.

    The graph contains missing values, bounds, scaling, network, temperature and decoding. The bundle also has a schema,
    golden rows with their expected outputs, a verifier for Python and C++, working points and a card. The graph is
    first compared with the checkpoint on real rows, and is written only if they agree.

    Example: [cyan]collidekit export top-tagging/pfn --files test.h5 -o my_bundle[/cyan]

    Writes a folder, which appears when it is complete.
    """
    from rich.console import Console

    from collidekit.export.options import Options
    from collidekit.export.precision import check_precision
    from collidekit.inference.run_folder import with_members
    from collidekit.tasks.export import export_to, layout_options, show_exported

    options = Options(
        layout=layout,
        opset=opset,
        calibrated=calibrated,
        precision=check_precision(precision),
        of_layout=layout_options(settings or []),
    )
    made = export_to(with_members(checkpoint), out, files or [], name, options, rows, analysis, force)
    show_exported(made, Console(soft_wrap=True, highlight=False))


@verb(SHARE)
def verify(
    folder: Annotated[Path, typer.Argument(help="The folder of a bundle from collidekit export.", show_default=False)],
    threads: Annotated[
        int,
        panel(
            RUNNING,
            "--threads",
            help="Number of threads in the check with several threads. Default: 4.",
            min=1,
            max=1024,
        ),
    ] = 4,
) -> None:
    """Check that a bundle is complete and gives the numbers of its checkpoint on this machine.

    Runs golden rows at each optimisation level, calls with many rows, all lengths, empty slots, and real rows with
    their scores, AUC and working points. Needs onnxruntime, not torch, and runs no code of the bundle. The exit code is
    2 if a check failed.

    Example: [cyan]collidekit verify my_bundle[/cyan]

    Writes nothing.
    """
    from rich.console import Console
    from rich.table import Table

    from collidekit.export.sofie import describe_sofie
    from collidekit.export.verify import checks, require
    from collidekit.runtime.folder import read_schema

    schema = read_schema(folder)
    found = list(checks(folder, threads))
    table = Table("check", "", "found")
    for check in found:
        mark = "[green]ok[/green]" if check.passed else "[bold red]FAILED[/bold red]"
        table.add_row(literal(check.title), mark, literal(check.found))
    console = Console(highlight=False)
    console.print(table)
    if schema.operators:
        console.print(literal(describe_sofie(schema.operators)))
    require(found)
    console.print(f"[bold green]Verified[/bold green]: {literal(folder)}, {len(found)} checks")
