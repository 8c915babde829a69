"""Table of failed attempts."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from collidekit.batch.units import show_memory

COLUMNS = ("job", "id", "host", "reason", "peak memory", "last line of the log", "next step")


def failure_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the table with one row for each failed attempt."""
    table = Table(title="Failed jobs")
    for name in COLUMNS:
        table.add_column(name, overflow="fold")
    for row in rows:
        peak = show_memory(row["peak_memory"]) if row["peak_memory"] else "unknown"
        cells = (row["job"], row["id"], row["host"] or "unknown", row["words"], peak, row["last_line"], row["next"])
        table.add_row(*(str(cell).replace("[", "\\[") for cell in cells))
    return table
