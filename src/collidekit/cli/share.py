"""The verbs that use and share trained models."""

import json
from pathlib import Path
from typing import Annotated

import typer

from collidekit.cli import complete
from collidekit.cli.app import CARD, DATA, SHARE, WORK, AllowTrainingRows, AsJson, TrustCode, panel, verb
from collidekit.plain_text import literal


@verb(SHARE)
def models(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A bundled model, or the folder of a published one: print its card.",
            show_default=False,
            autocompletion=complete.bundled_models,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the trained models that ship, or print the card of one: data, recipe, scores, limits.

    Use one by its name, as in [cyan]collidekit predict top-tagging/pair_transformer FILES -o scores.root[/cyan].

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
        panel(CARD, "--data", help="What it learned from, in a few words: 'Top Quark Tagging Reference Dataset'."),
    ] = None,
    licence: Annotated[str | None, panel(CARD, "--licence", help="The licence of these data, such as CC-BY-4.0.")] = None,
    skip_bad_files: Annotated[bool, panel(DATA, "--skip-bad-files", help="Go on without files that cannot be read.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a model that is there, and its card.")] = False,
    threads: Annotated[int | None, panel(WORK, "--threads", help="Threads of torch.", min=1, max=1024)] = None,
    allow_training_rows: AllowTrainingRows = False,
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
        console.print(
            f"Next: write what only you know into {literal(made.folder / 'README.md')}: {places} marked AUTHOR"
        )


@verb(SHARE)
def export(
    checkpoint: Annotated[
        list[str],
        typer.Argument(help="A best_model.pt, the folder of a TrainingTask, of a report or of a published model, or the name of a "
                       "model that ships; of folds the folder of their report, or each of them.", show_default=False),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The folder to write; without it NAME_LAYOUT.", show_default=False)] = None,
    layout: Annotated[str, typer.Option("--layout", "-l", help="Whose contract: see docs/export-layouts.md.")] = "generic",
    name: Annotated[
        str | None, typer.Option("--name", help="The name of the model; without it that of the analysis.", show_default=False)
    ] = None,
    opset: Annotated[
        int | None, typer.Option("--opset", help="ONNX opset, 17 to 20; without it that of the layout.", show_default=False)
    ] = None,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="With the temperature that is stored with the model in the graph.")
    ] = False,
    precision: Annotated[
        str, typer.Option("--precision", help="float32; float16 or int8, whose card says what they cost.")
    ] = "float32",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option of the layout, such as label.light=u. May be repeated.", metavar="NAME=VALUE",
                     show_default=False),
    ] = None,
    files: Annotated[
        list[str] | None,
        panel(DATA, "--files", "-f", help="Real rows to check the graph with, and to find working points on. Without it: the test "
               "files that the analysis names, else its training files. May be repeated.", metavar="FILES"),
    ] = None,
    rows: Annotated[int, panel(DATA, "--rows", help="How many of their rows, spread over the files.", min=1, max=2**31 - 1)] = 20_000,
    analysis: Annotated[
        str | None,
        panel(DATA, "--analysis", help="Another analysis with the same inputs, for files of another layout. Without it: "
               "the one of the training."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
    trust_code: TrustCode = False,
) -> None:  # fmt: skip
    """Make a bundle for other frameworks: an ONNX graph with all that belongs to the model, and what proves it.

    Inside the graph are missing values, bounds, scaling, network, temperature and decoding; beside it a schema, golden rows with
    what they must give, a verifier for Python and C++, working points and a card. The graph is compared with the checkpoint on real
    rows first; a graph that does not agree is not written.

    Example: [cyan]collidekit export top-tagging/pfn --files test.h5 -o my_bundle[/cyan]

    Writes a folder, which appears under its name only when it is complete.
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
    folder: Annotated[Path, typer.Argument(help="A bundle, as collidekit export writes it.", show_default=False)],
    threads: Annotated[
        int, panel(WORK, "--threads", help="Threads of the check with several of them: 4.", min=1, max=1024)
    ] = 4,
) -> None:
    """Check that an exported bundle is whole and gives the numbers of its checkpoint here, with this version of onnxruntime.

    Runs golden rows at each optimisation level, calls with many rows, all lengths and empty slots, and real rows: their scores, AUC and
    working points. Needs onnxruntime, not torch, and runs no code of the bundle. Exit code 2 says that a check failed.

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
