"""Output of a training: a progress bar for the current epoch, and a line for each finished epoch."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from collidekit.notebook import NotebookBar, in_notebook
from collidekit.progress import WIDE, Times, bar_width
from collidekit.verbosity import is_quiet, is_warning

HEADER_EVERY = 50
"""Epochs after which the header is printed again."""


class Display:
    """Live progress bar in a terminal or notebook, plain lines elsewhere, no output if ``shown`` is False."""

    def __init__(self, shown: bool = True, console: Console | None = None) -> None:
        self.shown = shown
        self._in_notebook = console is None and shown and in_notebook()
        plain = (
            False if self._in_notebook else None
        )  # no HTML box for each line; the stdout of a kernel reports that it is a terminal
        self.console = console or Console(quiet=not shown, soft_wrap=True, force_jupyter=plain, force_terminal=plain)
        self._lines = 0
        self._bar = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=bar_width(self.console)),
            TextColumn("{task.percentage:>3.0f}%", table_column=Column(no_wrap=True)),
            Times(),
            TextColumn("{task.fields[status]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self.console,
            transient=True,
            disable=not (shown and self.console.is_terminal) or is_quiet(),
        )
        self._task: TaskID | None = None
        self._cell: NotebookBar | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        self._close()

    def _close(self) -> None:
        """Remove the progress bar of the epoch."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        if self._cell is not None:
            self._cell.close()
        self._task = self._cell = None

    def say(self, text: str) -> None:
        """Print a text; with ``--quiet`` only a warning."""
        if is_quiet() and not is_warning(text):
            return
        self.console.print(text, highlight=False)

    def header(self) -> None:
        """Print the names of the columns."""
        self._lines = 0
        self.say("[bold]epoch  train loss  val loss  train acc.  val acc.  rows/s        lr[/bold]")

    def begin(self, epoch: int, epochs: int, steps: int, done: int) -> None:
        """Show a new progress bar for an epoch."""
        if self._in_notebook and not is_quiet():
            self._cell = NotebookBar(f"Epoch {epoch}/{epochs}", max(steps, 1))
            self._cell.done = done
            return
        self._task = self._bar.add_task(f"Epoch {epoch}/{epochs}", total=max(steps, 1), completed=done, status="")

    def step(self, mean: float, loss: float, rate: float, learning_rate: float) -> None:
        if self._cell is not None:
            self._cell.advance(1, f"loss {mean:.4f}, {rate:,.0f} rows/s")
        if self._task is not None:
            status = f"loss {mean:.4f}  {rate:,.0f} rows/s"
            if self.console.width >= WIDE:
                status += f"  batch {loss:.4f}  lr {learning_rate:.1e}"
            self._bar.update(self._task, advance=1, status=status)

    def end(
        self, row: Mapping[str, float], best: bool, targets: Mapping[str, float], more: Mapping[str, float]
    ) -> None:
        """Print the line of a finished epoch, with further numbers at its end, and a line of its targets if there are any."""
        self._close()
        if self._lines >= HEADER_EVERY:
            self.header()
        self._lines += 1
        mark = "".join(f"  {name} {value:.3g}" for name, value in more.items())
        mark += "  [green]best[/green]" if best else ""
        self.say(
            f"{row['epoch']:5.0f}  {row['train_loss']:10.4f}  {row['val_loss']:8.4f}  {_share(row, 'train_accuracy', 10)}  "
            f"{_share(row, 'val_accuracy', 8)}  {row['rows_per_second']:6,.0f}  {row['learning_rate']:8.2e}{mark}"
        )
        shares = [_score(name, value) for name, value in targets.items() if not name.startswith("loss_")]
        if shares:
            self.say(f"       [dim]{', '.join(shares)}[/dim]")


def _score(name: str, value: float) -> str:
    """Return a fraction in percent, or a residual in its unit."""
    return f"{name.replace('_', ' ')} {value:.4g}" if name.endswith("_rms") else f"{name.replace('_', ' ')} {value:.1%}"


def _share(row: Mapping[str, float], name: str, width: int) -> str:
    """Return a fraction in percent; a dash if the objective does not compute it."""
    return f"{row[name]:{width}.2%}" if name in row else f"{'-':>{width}}"
