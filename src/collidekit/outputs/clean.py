"""The command ``collidekit clean``: show the size of outputs, and remove unneeded ones after a confirmation."""

import sys
from pathlib import Path

import typer
from rich.console import Console

from collidekit.errors import CollidekitError
from collidekit.outputs.find import find_outputs
from collidekit.outputs.removal import find_removable, remove
from collidekit.outputs.tables import show_freed, show_outputs, show_removal, size_of
from collidekit.plain_text import literal


def show_results(results: Path, checkpoints: bool = False) -> None:
    """Print all outputs and the space that can be freed; nothing is removed."""
    outputs = find_outputs(results)
    if not outputs:
        _say(f"{literal(results)}: there are no outputs here yet")
        return
    show_outputs(outputs, results, Console())
    show_freed(find_removable(outputs, checkpoints=True), Console(), checkpoints)


def clean_results(results: Path, checkpoints: bool = False, ask: bool = True) -> None:
    """Print what can be removed, and remove it after a confirmation."""
    items = find_removable(find_outputs(results), checkpoints)
    if not items:
        _say(f"{literal(results)}: there is nothing to remove")
        return
    if ask and not sys.stdin.isatty():
        raise CollidekitError("clean --remove needs a confirmation, and there is no terminal to ask in: add --yes")
    show_removal(items, results, Console())
    if ask and not typer.confirm("Remove all this?"):
        _say("Nothing was removed.")
        return
    _say(f"[bold green]Freed[/bold green] {size_of(remove(results, items))}")


def _say(text: str) -> None:
    Console(soft_wrap=True, highlight=False).print(text)
