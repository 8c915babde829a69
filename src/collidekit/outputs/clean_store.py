"""The command ``collidekit clean --store``: show the content of a store, and remove leftovers beside complete outputs."""

import sys
from collections.abc import Sequence

import typer
from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from collidekit.errors import CollidekitError
from collidekit.plain_text import literal
from collidekit.shown import counted
from collidekit.stores.listing import InStore, StoredEntry, find_stored
from collidekit.stores.settings import all_stores

_NOTES = {
    InStore.INTERRUPTED: "the state of a training; the same command continues it",
    InStore.NO_MARKER: "an upload is running or was interrupted; the same command completes it. It is never removed here",
}


def clean_stores(named: str, remove: bool, ask: bool = True) -> None:
    """Print the outputs of each store; with ``remove``, remove unneeded files after a confirmation."""
    for url in all_stores(named):
        entries = find_stored(url)
        if not entries:
            _say(f"{literal(url)}: there are no outputs here yet")
            continue
        if not remove:
            _show(url, entries)
        left = [entry for entry in entries if entry.left_over]
        folders = counted(sum(len(entry.left_over) for entry in left), "folder")
        if not left:
            _say("Nothing in this store can be removed without loss.")
        elif not remove:
            _say(
                f"[cyan]collidekit clean --store {literal(named)} --remove[/cyan] would remove {folders} beside complete outputs."
            )
        else:
            _remove(left, folders, ask)


def _remove(left: Sequence[StoredEntry], folders: str, ask: bool) -> None:
    for entry in left:
        for name in entry.left_over:
            _say(f"  {literal(entry.server.at(entry.place))}/{literal(name)}")
    if ask and not sys.stdin.isatty():
        raise CollidekitError("clean --remove needs a confirmation, and there is no terminal to ask in: add --yes")
    if ask and not typer.confirm("Remove all this from the store?"):
        _say("Nothing was removed.")
        return
    for entry in left:
        entry.remove_left_over()
    _say(f"[bold green]Removed[/bold green] {folders}")


def _show(url: str, entries: Sequence[StoredEntry]) -> None:
    _say(f"[bold]Outputs[/bold] in {literal(url)}")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_footer=True)
    table.add_column("output", counted(len(entries), "output"), overflow="fold")
    table.add_column("size", decimal(sum(entry.size or 0 for entry in entries)), justify="right", no_wrap=True)
    table.add_column("by", overflow="fold")
    table.add_column("state", no_wrap=True)
    for entry in entries:
        state = f"{entry.state}, {counted(entry.step, 'step')}" if entry.state is InStore.INTERRUPTED else entry.state
        size = "?" if entry.size is None else decimal(entry.size)
        table.add_row(Text(entry.place), size, Text(entry.by), state)
    Console().print(table, highlight=False)
    for state, note in _NOTES.items():
        if any(entry.state is state for entry in entries):
            _say(f"  {state}: {note}")


def _say(text: str) -> None:
    Console(soft_wrap=True, highlight=False).print(text)
