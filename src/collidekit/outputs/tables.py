"""Tables of the outputs for a terminal of 80 columns: outputs, their size, and what can be removed."""

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from collidekit.outputs.find import HOUR, Output, State
from collidekit.outputs.removal import Kind, Removable
from collidekit.plain_text import literal
from collidekit.shown import counted

_NOTES = {
    State.UNUSED: "a dataset that no output was made from",
    State.NEEDED: "a run of its analysis was active in the last hour, or is unfinished",
    State.MAKING: "it changed in the last hour, and is kept",
    State.INTERRUPTED: "a training; the same command continues it",
    State.UNFINISHED: "the command that made it was stopped",
    State.DAMAGED: "its run.json cannot be read; it is kept",
    State.HALF_REMOVED: "the rest of an interrupted removal",
}
_COLOURS = {
    State.UNUSED: "yellow", State.UNFINISHED: "yellow", State.HALF_REMOVED: "yellow", State.DAMAGED: "red",
    State.MAKING: "green",
}  # fmt: skip
_OTHER_COLUMNS = 40
"""Width of the table without the path of the output."""


def show_outputs(outputs: Sequence[Output], results: Path, console: Console) -> None:
    """Print one row for each output, the largest first, and the meaning of the states."""
    console.print(f"[bold]Outputs[/bold] in {literal(results)}", highlight=False, soft_wrap=True)
    wide = max(len(_path(output)) for output in outputs) + _OTHER_COLUMNS <= console.width
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_footer=True)
    total = decimal(sum(output.size for output in outputs))
    table.add_column("output", counted(len(outputs), "output"), overflow="fold")
    table.add_column("size", total, justify="right", no_wrap=True)
    table.add_column("changed", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for output in outputs:
        state = f"used by {output.users}" if output.state is State.USED else output.state
        table.add_row(
            Text(_path(output) if wide else _path(output).replace("/", "\n  ", 1)),
            decimal(output.size),
            age(time.time() - output.changed),
            Text(state, _COLOURS.get(output.state, "")),
        )
    console.print(table, highlight=False)
    notes = Table.grid(padding=(0, 1))
    for state in State:
        if state in _NOTES and any(output.state is state for output in outputs):
            notes.add_row(Text(f"  {state}:", _COLOURS.get(state, "")), _NOTES[state])
    if notes.row_count:
        console.print(notes, "", highlight=False)


def _path(output: Output) -> str:
    return "/".join(output.place)


def show_freed(items: Sequence[Removable], console: Console, checkpoints: bool) -> None:
    """Print the space that can be freed, one line for each kind, and the command that frees it."""
    if not items:
        console.print("Nothing here can be removed without loss.")
        return
    lines = Table.grid(padding=(0, 2))
    lines.add_column(justify="right", min_width=9)
    for kind, group in groupby(items, lambda item: item.kind):
        found = list(group)
        extra = "" if checkpoints or kind is not Kind.CHECKPOINT else " (with --checkpoints)"
        lines.add_row(size_of(found), f"{kind.count(len(found))}{extra}")
    console.print("[bold]Can be freed[/bold]", lines, "", highlight=False)
    now = [item for item in items if checkpoints or item.kind is not Kind.CHECKPOINT]
    words = "--remove --checkpoints" if checkpoints or not now else "--remove"
    more = f", with [cyan]--checkpoints[/cyan] {size_of(items)}" if now and len(now) < len(items) else ""
    console.print(
        f"[cyan]collidekit clean {words}[/cyan] would free {size_of(now or items)}{more}.",
        highlight=False,
        soft_wrap=True,
    )


def show_removal(items: Sequence[Removable], results: Path, console: Console) -> None:
    """Print what is going to be removed: each folder, and the number of files in each folder."""
    for kind, group in groupby(items, lambda item: item.kind):
        found = list(group)
        console.print(f"[bold]{kind.count(len(found))}[/bold]", highlight=False)
        for place, entries in _by_place(found).items():
            name = place.relative_to(results) if place.is_relative_to(results) else place
            files = "" if kind.is_folder else f": {counted(len(entries), 'file')}"
            console.print(f"{size_of(entries):>11}  {literal(name)}{files}", highlight=False, soft_wrap=True)


def _by_place(items: Sequence[Removable]) -> dict[Path, list[Removable]]:
    places: dict[Path, list[Removable]] = {}
    for item in items:
        places.setdefault(item.path if item.kind.is_folder else item.path.parent, []).append(item)
    return places


def size_of(items: Sequence[Removable]) -> str:
    """Return the total size as text, such as ``1.2 GB``."""
    return decimal(sum(item.size for item in items))


def age(seconds: float) -> str:
    """Return a time span as text, such as ``5 min`` or ``3 days``."""
    if seconds < HOUR:
        return f"{max(seconds, 0) / 60:,.0f} min"
    return f"{seconds / 3600:,.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:,.0f} days"
