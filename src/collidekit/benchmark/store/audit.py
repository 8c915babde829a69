"""The audit trail: who did what and when. Rows are only added."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from collidekit.benchmark.store.clock import now
from collidekit.benchmark.store.records import Event
from collidekit.benchmark.store.tables import events
from collidekit.benchmark.store.text import clean, stored_text
from collidekit.files import plain

SYSTEM = "collidekit"
"""Actor of what no user did."""


def record(
    connection: Connection, actor: str, action: str, subject: str, details: Mapping[str, Any] | None = None
) -> None:
    """Add an event in the transaction of what it tells."""
    content = clean(plain(dict(details or {})))
    connection.execute(
        insert(events).values(at=now(), actor=stored_text(actor, 200), action=action, subject=subject, details=content)
    )


def read_events(
    connection: Connection, subject: str = "", after: int = 0, limit: int = 1000, before: int | None = None
) -> list[Event]:
    """Return events in their order, those of one subject such as ``run 17`` or all; with ``before`` the newest first."""
    query = select(events).where(events.c.id > after).limit(limit)
    query = (
        query.order_by(events.c.id)
        if before is None
        else query.where(events.c.id < before).order_by(events.c.id.desc())
    )
    if subject:
        query = query.where(events.c.subject == subject)
    return [Event(**row) for row in connection.execute(query).mappings()]
