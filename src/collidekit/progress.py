"""Progress bars for what takes over two seconds: shown on stderr of a terminal, or below the cell of a notebook."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.text import Text

from collidekit.notebook import NotebookBar, in_notebook
from collidekit.plain_text import literal, without_controls

_bars: list[Progress] = []
"""Those that are shown now; what is counted meanwhile becomes a further line of the first one."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        total = f"/{task.total:,.0f}" if task.total is not None else ""
        return Text(f"{task.completed:,.0f}{total} {task.fields['unit']}" + (f"  {rate:,.0f}/s" if rate else ""))


@contextmanager
def counting(
    description: str, unit: str, total: int | None = None, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """A function that is told how many more are done; the time left is shown where the total is known."""
    if shown and in_notebook():
        with _cell_bar(f"{description} ({unit})", total) as advance:
            yield advance
        return
    if shown and _bars:
        with _line(_bars[0], description, unit, total) as advance:
            yield advance
        return
    console = Console(stderr=True)
    start = SpinnerColumn() if total is None else BarColumn(bar_width=24)
    end = TimeElapsedColumn() if total is None else TimeLeft()
    columns = (TextColumn("{task.description}"), start, _Rate(), end)
    bar = Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal))
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
    """A line on stderr about something that a user may want to know; it stands above a bar."""
    if in_notebook():
        print(without_controls(text), file=sys.stderr)  # as plain text: the boxes of rich are HTML without colours here
        return
    Console(stderr=True, soft_wrap=True).print(text, style="yellow", markup=False, highlight=False)
