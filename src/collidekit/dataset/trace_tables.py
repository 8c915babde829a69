"""The trace of one row as tables, 80 columns wide."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from collidekit.dataset.trace import Trace, TracedFeature, TracedInput, TracedValue
from collidekit.plain_text import literal

Scaled = Mapping[str, NDArray[Any]]
"""Inputs as the network gets them: name -> (constituents or 1, F)."""

_CONSTITUENTS = 4
_PASSED = {True: "[green]yes[/green]", False: "[red]no[/red]", None: "[dim]not in this file[/dim]"}


def show(found: Trace, console: Console, scaled: Scaled | None = None) -> None:
    """Print the way from the file to the features, and to the scaled features if they are given."""
    place = f"row {found.row:,} of {found.path}"
    if found.plan.analysis.rows:
        place = f"{found.plan.analysis.rows} {found.member} (of {found.members}) in {place}"
    console.print(f"[bold]{literal(place)}[/bold]\n", highlight=False, soft_wrap=True)
    console.print(_values("1. In the file", "column", "type", found.columns))
    if found.selection:
        console.print(_conditions("2. Selection", "the row must have", found.selection))
    else:
        console.print("[bold]2. Selection[/bold]: none, every row passes\n")
    if not found.selected:
        console.print(
            "[yellow]The row does not pass, so it is in no dataset; the rest shows what it would be.[/yellow]\n"
        )
    if found.variables:
        console.print(_values("3. Variables, each after those it needs", "variable", "expression", found.variables))
    weight = f"weight: [bold]{found.weight:g}[/bold]\n"
    if classes := list(found.plan.analysis.classes):
        console.print(_conditions("4. Class", "class", found.classes, named=True))
        label = classes[found.label] if found.label >= 0 else "none: the row is dropped from datasets"
        weight = f"Class: [bold]{label}[/bold]   {weight}"
    if found.targets:
        console.print(_values(f"{'4b' if classes else '4'}. Targets", "value", "expression", found.targets))
    console.print(weight, highlight=False)
    console.print("[bold]5. Inputs of the network[/bold]\n")
    for entry in found.inputs:
        values = scaled[entry.name] if scaled else None
        console.print(_collection(entry, values) if entry.collection else _group(entry, values))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _values(title: str, what: str, text: str, values: list[TracedValue]) -> Table:
    table = _table(title, what, text, "value")
    for entry in values:
        table.add_row(literal(entry.name), f"[dim]{literal(entry.text)}[/dim]", _number(entry.value))
    return table


def _conditions(title: str, what: str, terms: list[TracedValue], named: bool = False) -> Table:
    table = _table(title, what, *(("condition",) if named else ()), "here", "holds")
    for term in terms:
        here = ", ".join(f"{literal(name)} = {_number(value)}" for name, value in term.uses.items())
        table.add_row(literal(term.name), *((literal(term.text),) if named else ()), here, _PASSED[term.value])
    return table


def _collection(entry: TracedInput, scaled: NDArray[Any] | None) -> Table | str:
    collection, kept = entry.collection, len(entry.positions)
    assert collection is not None
    story = [f"{entry.in_file} in the file"]
    if collection.where:
        story.append(f"{entry.passing} with {collection.where}")
    order = f"in descending order of {collection.order}" if collection.order else "in the order of the file"
    story.append(f"{kept} kept (limit {collection.limit}), {order}")
    if not kept:
        return f"[bold]{entry.name}[/bold]: {literal(', '.join(story))}\n"
    first = min(kept, _CONSTITUENTS)
    table = _table(f"{entry.name}: {literal(', '.join(story))}", "feature", *(f"number {i}" for i in range(first)))
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("[dim]place in the file[/dim]", *(f"[dim]{position}[/dim]" for position in entry.positions[:first]))
    for f, feature in enumerate(entry.features):
        table.add_row(feature.feature.name, *(_on_its_way(feature, i) for i in range(first)))
        if scaled is not None:
            table.add_row("[dim]  scaled[/dim]", *(f"[dim]{scaled[i, f]:.4g}[/dim]" for i in range(first)))
    if kept > first:
        table.caption, table.caption_justify = f"and {kept - first} more", "left"
    return table


def _group(entry: TracedInput, scaled: NDArray[Any] | None) -> Table:
    table = _table(
        f"{entry.name}: one number each", "feature", "expression", "value", *(("scaled",) if scaled is not None else ())
    )
    for f, feature in enumerate(entry.features):
        cells = (f"{scaled[0, f]:.4g}",) if scaled is not None else ()
        table.add_row(
            feature.feature.name, f"[dim]{literal(feature.feature.expression)}[/dim]", _on_its_way(feature, 0), *cells
        )
    return table


def _on_its_way(feature: TracedFeature, i: int) -> str:
    """Return ``-1.2``, ``nan → 0 (default)``, or ``7.1 → 5 (bounds)``."""
    raw, final, note = f"{feature.raw[i]:.5g}", f"{feature.final[i]:.5g}", feature.note(i)
    if note in ("default", "bounds"):
        return f"{raw} → [yellow]{final}[/yellow] ({note})"
    return f"{final} [dim]({note})[/dim]" if note else final


def _number(value: Any) -> str:
    if isinstance(value, list):
        more = ", ..." if len(value) > _CONSTITUENTS else ""
        return (
            f"{len(value)}: {', '.join(_number(item) for item in value[:_CONSTITUENTS])}{more}" if value else "0: empty"
        )
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return str(value)
    return f"{value:.6g}"
