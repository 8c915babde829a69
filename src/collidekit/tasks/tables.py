"""Tables of results in the terminal."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table

from collidekit.plain_text import literal


def result_table(header: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", names: int = 1) -> Table:
    """Return a table of cells as text; the first ``names`` columns are left-aligned, the others hold numbers."""
    table = Table(title=literal(title) or None, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number < names else "right")
    for cells in rows:
        table.add_row(*map(literal, cells))
    return table
