"""The command ``collidekit``: one verb for each purpose, which calls tasks and functions of the package."""

from pathlib import Path
from typing import Annotated

import typer

from collidekit import __version__
from collidekit.cli.app import app, results_folder


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"collidekit {__version__}")
        raise typer.Exit


@app.callback()
def collidekit(
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the results.",
            envvar="COLLIDEKIT_OUTPUT",
            readable=False,  # checked where it is used: a verb's own --output may name another one
            show_default="./results",
            callback=results_folder,
            metavar="FOLDER",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", help="Print the version and exit.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


# fmt: off
# the help lists the verbs in the order of these lines
from collidekit.cli import do, reconstruct, grid, search, look, share, make, results, clean, evaluate  # noqa: F401, I001
from collidekit.cli import benchmark, benchmark_export, benchmark_runs, benchmark_server  # noqa: F401
# fmt: on


def main() -> None:
    """Run the command."""
    app()
