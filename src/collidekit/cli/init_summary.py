"""Output at the end of ``init``: a short check of the new analysis file, and the next steps."""

from pathlib import Path

from rich.console import Console

from collidekit.analysis.load import read_analysis
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.check import Check, check, named_files
from collidekit.errors import CollidekitError
from collidekit.plain_text import literal

_ROWS = 5_000
"""Number of rows in the short check, spread over the files."""
_MOST = 4
"""Largest number of printed problems."""


def print_check(console: Console, path: Path) -> bool:
    """Check the new analysis on some rows, print rows, classes and problems in a few lines, and return whether it has no errors."""
    plan = Plan(*read_analysis(path))
    try:
        found = check(plan, named_files(str(path), plan), (), _ROWS)
    except CollidekitError as error:
        console.print(f"Check    [yellow]{literal(str(error))}[/yellow]")
        return False
    part = found.parts[0]
    seen = f" in the {part.seen:,} entries that were read" if part.seen < part.rows else ""
    console.print(f"Check    {part.rows:,} entries in the files; {part.selected:,} selected rows{seen}")
    if plan.analysis.classes:
        counts = ", ".join(f"{literal(name)} {count:,}" for name, count in part.class_counts.items())
        console.print(f"         classes: {counts}")
    _print_problems(console, found)
    return not found.errors


def _print_problems(console: Console, found: Check) -> None:
    for problem in found.problems[:_MOST]:
        mark = "[bold red]error[/bold red]" if problem.error else "[yellow]warning[/yellow]"
        console.print(f"         {mark} {literal(problem.text)}")
    more = len(found.problems) - _MOST
    if more > 0:
        console.print(f"         and {more} more: run [cyan]collidekit check[/cyan]")
    if not found.problems:
        console.print("         no problems")


def print_next(console: Console, path: Path, analysis: Analysis, wrote_classes: bool, can_run: bool) -> None:
    """Print the lines of the file to edit, with their numbers, and the next command: ``run``, or ``check`` after errors."""
    lines = path.read_text(encoding="utf-8").splitlines()
    edits = []
    if not wrote_classes and not analysis.row_targets:
        edits.append((_line(lines, "classes:"), "fill in the classes"))
    elif wrote_classes:
        edits.append((_line(lines, "classes:"), "check the classes"))
    if not analysis.files.test:
        edits.append((_line(lines, "  # test:"), "name test files"))
    for number, (line, what) in enumerate(edits):
        console.print(f"{'Edit' if not number else '':<9}{literal(path)}:{line}  {what}")
    if not can_run:
        console.print(f"Next     correct the errors above, then run [cyan]collidekit check {literal(path)}[/cyan]")
        return
    console.print(f"Next     [cyan]collidekit run {literal(path)}[/cyan]")


def _line(lines: list[str], beginning: str) -> int:
    return next((number for number, line in enumerate(lines, 1) if line.startswith(beginning)), 1)
