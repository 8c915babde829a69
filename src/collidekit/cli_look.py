"""Verbs that look at files before a training, beside ``check`` and ``trace``."""

from typing import Annotated

import typer

from collidekit.cli_app import DATA, LOOK, WORK, panel, verb


@verb(LOOK)
def defaults(
    analysis: Annotated[str, typer.Argument(help="An analysis file, or the name of one that ships.", show_default=False)],
    files: Annotated[
        list[str] | None,
        panel(DATA, "--files", "-f", help="Files to look at. Without it: those that the analysis file names. May be repeated.",
              metavar="FILES"),
    ] = None,
    rows: Annotated[int | None, panel(WORK, "--rows", help="Look at so many rows only, spread over the files.", min=1)] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show the features that are never missing, too.")
    ] = False,
) -> None:  # fmt: skip
    """Find defaults that lie near the bulk of the data, for what is missing.

    Shows for each feature which share of its values is at the default, where 99 % of the others lie, how many widths of the
    scaling the default is away from them, and a default next to them. A network learns best from missing values that lie
    near all others and are not among them.

    Example: [cyan]collidekit defaults my_analysis.yaml --files 'train/*.root'[/cyan]

    Writes nothing; the last lines are to be pasted into the analysis file.
    """
    from rich.console import Console

    from collidekit.dataset.check import check_named
    from collidekit.dataset.check_tables import show_defaults
    from collidekit.dataset.defaults import find_defaults

    show_defaults(find_defaults(check_named(analysis, files, None, rows)), Console(), every)
