"""Tables of results in the terminal."""

from collections.abc import Iterable, Sequence
from textwrap import wrap

from rich import box
from rich.table import Table

from collidekit.plain_text import literal


def result_table(header: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", names: int = 1) -> Table:
    """Return a table of cells as text; the first ``names`` columns are left-aligned, the others hold numbers.

    Headers are wrapped to the width of the cells below them, so that 80 characters are wide enough for most tables.
    """
    lines = [tuple(map(literal, cells)) for cells in rows]
    table = Table(title=literal(title) or None, title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True)
    for number, name in enumerate(header):
        width = max(len(part) for part in (*name.split(), *(cells[number] for cells in lines)))
        table.add_column("\n".join(wrap(name, width)), justify="left" if number < names else "right")
    for cells in lines:
        table.add_row(*cells)
    return table
