"""Progress bars of long steps, on stderr of a terminal or below the cell of a notebook."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from collidekit.notebook import NotebookBar, in_notebook
from collidekit.plain_text import literal, without_controls
from collidekit.shown import clock
from collidekit.verbosity import is_quiet

WIDE = 100
"""Number of columns of a terminal from which on bars are long."""
LONG_BAR, SHORT_BAR = 24, 10

_bars: list[Progress] = []
"""Visible bars; further counts become additional lines of the first one."""


class _Rate(ProgressColumn):
    """Column such as ``1,234/9,000 rows  120/s``, which is truncated before the times."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True, overflow="ellipsis"))

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        total = f"/{task.total:,.0f}" if task.total is not None else ""
        return Text(f"{task.completed:,.0f}{total} {task.fields['unit']}" + (f"  {rate:,.0f}/s" if rate else ""))


class Times(ProgressColumn):
    """Column ``0:12 < 1:03`` with elapsed and remaining time, never truncated; without a total only the elapsed time."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True, min_width=len("00:00 < 0:00:00")))

    def render(self, task: Task) -> Text:
        elapsed = clock(task.finished_time if task.finished else task.elapsed)
        if task.total is None:
            return Text(elapsed, "progress.elapsed")
        left = clock(task.time_remaining if task.elapsed else None)
        return Text(f"{elapsed} < {left}", "progress.elapsed")


def description_column(console: Console) -> TextColumn:
    """Return the column of the description, which is truncated before the numbers."""
    room = Column(no_wrap=True, overflow="ellipsis", max_width=max(console.width * 2 // 5, 12))
    return TextColumn("{task.description}", table_column=room)


def bar_width(console: Console) -> int:
    """Return the width of a bar in characters."""
    return LONG_BAR if console.width >= WIDE else SHORT_BAR


@contextmanager
def counting(
    description: str, unit: str, total: int | None = None, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """Show a progress bar and yield a function that advances it; with a total it shows the remaining time."""
    if shown and in_notebook() and not is_quiet():
        with _cell_bar(f"{description} ({unit})", total) as advance:
            yield advance
        return
    if shown and _bars:
        with _line(_bars[0], description, unit, total) as advance:
            yield advance
        return
    console = Console(stderr=True)
    start = SpinnerColumn() if total is None else BarColumn(bar_width=bar_width(console))
    columns = (description_column(console), start, _Rate(), Times())
    hidden = not (shown and console.is_terminal) or is_quiet()
    bar = Progress(*columns, console=console, transient=True, disable=hidden)
    with bar, _line(bar, description, unit, total) as advance:
        if shown:
            _bars.append(bar)
        try:
            yield advance
        finally:
            if shown:
                _bars.remove(bar)


@contextmanager
def _cell_bar(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    bar = NotebookBar(description, total)
    try:
        yield bar.advance
    finally:
        bar.close()


@contextmanager
def _line(bar: Progress, description: str, unit: str, total: int | None) -> Iterator[Callable[[int], None]]:
    task = bar.add_task(literal(description), total=total, unit=unit)
    try:
        yield lambda number: bar.advance(task, number)
    finally:
        bar.remove_task(task)


def notice(text: str) -> None:
    """Print a line on stderr, above a visible progress bar."""
    if in_notebook():
        print(without_controls(text), file=sys.stderr)  # as plain text: the boxes of rich are HTML without colours here
        return
    Console(stderr=True, soft_wrap=True).print(text, style="yellow", markup=False, highlight=False)
