"""Names are compared by how they look."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from collidekit.benchmark.store.look_alikes import name_key

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _compare("users", None)
    _compare("groups", "benchmark_id")


def _compare(name: str, within: str | None) -> None:
    """Give each row its new key; a later one that looks like an earlier one keeps its name, under a key of its own."""
    columns: list[sa.ColumnClause[Any]] = [
        sa.column("id"),
        sa.column("name"),
        sa.column("name_key"),
        *([sa.column(within)] if within else []),
    ]
    table = sa.table(name, *columns)
    connection, taken, keys = op.get_bind(), set(), {}
    for row in connection.execute(sa.select(table).order_by(table.c.id)).mappings().all():
        place = (row[within] if within else None, key := name_key(row["name"]))
        keys[row["id"]] = f"{key}\x01{row['id']}" if place in taken else key
        taken.add(place)
    for form in ("\x02{}", "{}"):  # no key is that of another row meanwhile
        for number, key in keys.items():
            connection.execute(sa.update(table).where(table.c.id == number).values(name_key=form.format(key)))
