"""The result of a check as tables, 80 columns wide."""

from typing import Any

import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from collidekit.analysis.schema import Analysis
from collidekit.dataset.check import Check
from collidekit.dataset.check_estimate import Estimate, estimate, show_duration, show_size
from collidekit.dataset.check_part import Part
from collidekit.dataset.defaults import FoundDefault
from collidekit.plain_text import literal


def show(check: Check, console: Console, quiet: bool = False) -> None:
    """Print tables of the content of the files, the resources needed, and the verdict; ``quiet`` prints only the verdict."""
    if quiet:
        console.print(_verdict(check))
        return
    analysis = check.plan.analysis
    console.print(_files(check.parts))
    seen, rows = sum(part.seen for part in check.parts), sum(part.rows for part in check.parts)
    if seen < rows:
        console.print(f"[yellow]Read {seen:,} of {rows:,} rows; counts are for these rows.[/yellow]\n", highlight=False)
    if any(part.seen for part in check.parts):
        console.print(_cutflow(check.parts))
        if analysis.classes:
            console.print(_classes(analysis, check.parts))
        if analysis.regressions:
            console.print(_targets(analysis, check.parts[0]))
        if analysis.assignments:
            console.print(_assignments(analysis, check.parts[0]))
    if check.parts[0].statistics:
        console.print(_features(check))
    if made := estimate(check):
        console.print(_resources(check, made))
    console.print(_verdict(check))


def show_defaults(found: list[FoundDefault], console: Console, every: bool = False) -> None:
    """Print a row for each feature with missing values, and lines to paste."""
    shown = [one for one in found if every or one.verdict != "none missing"]
    if not shown:
        console.print("No value is missing: no feature needs a default.")
        return
    table = _table("Defaults", "feature", "default", "missing", "bulk (99 %)", "widths off", "near", "")
    for one in shown:
        default = "none" if one.feature.default is None else f"{one.feature.default:g}"
        colour = "yellow" if one.worth_changing else "green"
        bulk = f"{one.low:.3g} to {one.high:.3g}"
        table.add_row(
            f"{one.input}.{one.feature.name}", default, f"{one.share:.1%}", bulk, f"{one.widths:.1f}",
            f"{one.suggested:g}", f"[{colour}]{one.verdict}[/{colour}]",
        )  # fmt: skip
    console.print(table)
    for name in dict.fromkeys(one.input for one in shown if one.worth_changing):
        console.print(f"[bold]To paste into the features of {name}[/bold]")
        for one in shown:
            if one.input == name and one.worth_changing:
                console.print(Text(f"      {one.line}"), soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    """Return a table whose first column holds names and whose other columns hold numbers."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1), expand=False
    )
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    return table


def _files(parts: list[Part]) -> Table:
    table = _table("Files", "file", "part", "rows")
    for part in parts:
        listed = part.files if len(part.files) <= 12 else [*part.files[:10], *(f for f in part.files[10:] if f.problem)]
        for file in listed:
            table.add_row(literal(file.path), part.name, "[red]unusable[/red]" if file.problem else f"{file.rows:,}")
        if len(listed) < len(part.files):
            table.add_row(f"... {len(part.files) - len(listed):,} more", part.name, "")
        if len(part.files) > 1:
            table.add_row(f"[bold]{len(part.files):,} files[/bold]", part.name, f"[bold]{part.rows:,}[/bold]")
    return table


def _cutflow(parts: list[Part]) -> Table:
    table = _table("Cutflow", "rows that pass", *(part.name for part in parts), *("" for part in parts[:1]))
    for step, count in parts[0].cutflow.items():
        share = f"{count / max(parts[0].cutflow['all rows'], 1):.1%}"
        table.add_row(literal(step), *(f"{part.cutflow.get(step, 0):,}" for part in parts), share)
    return table


def _classes(analysis: Analysis, parts: list[Part]) -> Table:
    table = _table("Classes", "class", "condition", *(part.name for part in parts), "")
    table.columns[1].justify = "left"
    for name, condition in analysis.classes.items():
        counts = [part.class_counts.get(name, 0) for part in parts]
        share = counts[0] / max(parts[0].selected, 1)
        table.add_row(name, literal(condition), *(f"{count:,}" for count in counts), f"{share:.1%}")
    table.add_row("[dim]in none, left out[/dim]", "", *(f"[dim]{part.left_out:,}[/dim]" for part in parts))
    return table


def _targets(analysis: Analysis, part: Part) -> Table:
    table = _table("Targets", "value", "known", "smallest", "mean", "largest", "std. deviation", "unit")
    for name, target in analysis.regressions.items():
        values = np.concatenate(part.truth[name]) if name in part.truth else np.zeros((0, len(target.values)))
        for key, column in zip(target.values, values.T, strict=True):
            known = column[np.isfinite(column)]
            found = (known.min(), known.mean(), known.max(), known.std()) if len(known) else ()
            table.add_row(
                f"{name}.{key}",
                f"{len(known):,}",
                *(f"{number:.4g}" for number in found),
                literal(target.unit),
            )
    if not analysis.classes:
        table.add_row("[dim]none known, left out[/dim]", f"[dim]{part.left_out:,}[/dim]")
    return table


def _assignments(analysis: Analysis, part: Part) -> Table:
    """Return how often the true constituent of each slot, and of all slots of a parent or event, is in the event."""
    table = _table("Assignments", "decay product", "known", "in the event", "last position")
    for name, target in analysis.assignments.items():
        values = np.concatenate(part.truth[name]) if name in part.truth else np.zeros((0, len(target.values)))
        values = values[np.isfinite(values).all(axis=1)]
        there, column = values >= 0, 0

        def row(what: str, columns: list[int], last: str = "", there: np.ndarray[Any, Any] = there) -> None:
            share = f"{there[:, columns].all(axis=1).mean():.1%}" if len(there) else ""
            table.add_row(literal(what), f"{len(there):,}", share, last)

        parents: list[tuple[str, list[int]]] = []
        for parent, slots in target.parents.items():
            parents.append((parent, list(range(column, column + len(slots)))))
            for slot in slots:
                row(f"{name}: {parent} {slot}", [column], f"{values[:, column].max():.0f}" if len(values) else "")
                column += 1
        for parent, columns in [*parents, ("whole event", list(range(column)))]:
            row(f"{name}: all of {parent}" if parent in target.parents else f"{name}: {parent}", columns)
    if not analysis.classes and not analysis.regressions:
        table.add_row("[dim]truth not known, left out[/dim]", f"[dim]{part.left_out:,}[/dim]")
    return table


def _features(check: Check) -> Table:
    part, analysis = check.parts[0], check.plan.analysis
    more = ("AUC alone",) if analysis.classes else ()
    table = _table("Features", "feature", "smallest", "median", "largest", "missing", *more)
    for group, features in (part.statistics or {}).items():
        table.add_row(f"[bold]{group}[/bold]")
        for name, entry in features.items():
            key = f"{group}.{name}"
            absent = (entry.missing + (part.replaced.get(key, 0) if not _has_default(analysis, key) else 0)) / max(
                entry.count + entry.missing, 1
            )
            alone = check.alone.get(key)
            numbers = (
                (f"{entry.low:.4g}", f"{entry.percentiles()['50']:.4g}", f"{entry.high:.4g}")
                if entry.count
                else ("",) * 3
            )
            table.add_row(
                f"  {name}",
                *numbers,
                f"{absent:.1%}" if absent else "",
                *([f"{alone.auc:.3f}" if alone else ""] if more else []),
            )
    if not more:
        return table
    table.caption = (
        "AUC alone: the best AUC of this one feature for any two classes\n(for constituents: of its mean, max, min or "
        "spread in a row).\n"
    )
    table.caption_justify = "left"
    return table


def _has_default(analysis: Analysis, key: str) -> bool:
    group, name = key.split(".")
    return any(feature.name == name and feature.default is not None for feature in analysis.inputs[group].features)


def _resources(check: Check, made: Estimate) -> RenderableType:
    lines = [
        f"[bold]What it will take[/bold] ({made.rows:,} rows in datasets)",
        f"  disk      {show_size(made.disk)} for the dataset ({made.disk / max(made.rows, 1):,.0f} bytes a row, LZ4)",
        f"  memory    {show_size(made.construction)} to construct it, a process; {show_size(made.training)} for rows while training",
        f"  time      {show_duration(made.seconds)} to construct it with one process ({check.rate:,.0f} rows/s in this check)",
    ]
    return Group(*(Text.from_markup(line) for line in lines), Text())


def _verdict(check: Check) -> RenderableType:
    lines: list[RenderableType] = []
    for problem in check.problems:
        mark = "[bold red]error  [/bold red]" if problem.error else "[yellow]warning[/yellow]"
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=7)
        grid.add_column(overflow="fold")
        grid.add_row(mark, Text(problem.text))
        lines.append(grid)
    errors, warnings = len(check.errors), len(check.warnings)
    words = [
        f"{count} {word}{'s' * (count != 1)}" for count, word in ((errors, "error"), (warnings, "warning")) if count
    ]
    colour = "red" if errors else "yellow" if warnings else "green"
    return Group(
        *lines,
        Padding(f"[bold {colour}]{', '.join(words) or 'no problems'}[/bold {colour}]", (1 if lines else 0, 0, 0, 0)),
    )
