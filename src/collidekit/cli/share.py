"""The verbs that use and share trained models."""

from pathlib import Path
from typing import Annotated

import typer

from collidekit.cli.app import CARD, DATA, SHARE, WORK, TrustCode, panel, verb
from collidekit.plain_text import literal


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

    from collidekit.bundle.shelf import show_card, show_models

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

    from collidekit.bundle.publish import publish as make

    made = make(checkpoint, folder, test_files or (), data, licence, force, skip_bad_files, threads)
    console = Console(soft_wrap=True, highlight=False)
    for message in made.skipped:
        console.print(f"[yellow]skipped:[/yellow] {literal(message)}")
    if made.warning:
        console.print(f"[bold red]{literal(made.warning)}[/bold red]")
    if made.results:
        from collidekit.tasks.roc import roc_table

        console.print(roc_table(made.results))
    if made.residuals:
        from collidekit.tasks.residuals import residual_table

        console.print(residual_table(made.residuals))
    console.print(f"[bold green]Published[/bold green]: {literal(made.folder)} ({made.size / 1e6:.2f} MB)")
    if made.open_marks:
        places = "1 place" if made.open_marks == 1 else f"{made.open_marks} places"
        console.print(
            f"Next: write what only you know into {literal(made.folder / 'README.md')}: {places} marked AUTHOR"
        )
