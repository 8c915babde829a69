"""Bars for what takes over two seconds: shown on stderr, in a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.text import Text


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        total = f"/{task.total:,.0f}" if task.total is not None else ""
        return Text(f"{task.completed:,.0f}{total} {self._unit}" + (f"  {rate:,.0f}/s" if rate else ""))


@contextmanager
def counting(description: str, unit: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A function that is told how many more are done; the time left is shown where the total is known."""
    console = Console(stderr=True)
    start = SpinnerColumn() if total is None else BarColumn(bar_width=24)
    end = TimeElapsedColumn() if total is None else TimeLeft()
    columns = (TextColumn("{task.description}"), start, _Rate(unit), end)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total)
        yield lambda number: progress.advance(task, number)
