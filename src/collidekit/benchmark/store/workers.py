"""The workers that a store knows, and when each was seen."""

from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from collidekit.benchmark.store.clock import now
from collidekit.benchmark.store.records import WorkerRow
from collidekit.benchmark.store.tables import workers
from collidekit.benchmark.store.text import stored_text

ALIVE = 60.0
"""Seconds since it was seen after which a worker does not count as running."""


def worker_seen(connection: Connection, name: str, host: str, job: str, message: str) -> None:
    """Note that a worker runs; ``message`` says why it takes no runs, if so."""
    values: dict[str, Any] = {"seen_at": now(), "stopped_at": None, "message": stored_text(message, 500)}
    if connection.execute(update(workers).where(workers.c.name == name).values(**values)).rowcount == 0:
        connection.execute(insert(workers).values(name=name, host=host, job=job, started_at=now(), **values))


def worker_stopped(connection: Connection, name: str) -> None:
    """Note that a worker ended."""
    connection.execute(update(workers).where(workers.c.name == name).values(stopped_at=now()))


def _alive() -> Any:
    """The condition that a worker runs; one that was seen in the future was seen before the clock was set back."""
    return workers.c.stopped_at.is_(None) & workers.c.seen_at.between(now() - ALIVE, now() + ALIVE)


def alive_workers(connection: Connection) -> int:
    """Return how many workers run and take runs."""
    query = select(func.count()).select_from(workers).where(_alive(), workers.c.message == "")
    return connection.execute(query).scalar_one()


def last_message(connection: Connection) -> str:
    """Return why a worker that runs takes nothing; empty where none says so."""
    query = select(workers.c.message).where(_alive(), workers.c.message != "").order_by(workers.c.seen_at.desc())
    return connection.execute(query.limit(1)).scalar() or ""


def all_workers(connection: Connection, limit: int = 100) -> list[WorkerRow]:
    """Return the workers that were seen last."""
    query = select(workers, _alive().label("alive")).order_by(workers.c.seen_at.desc()).limit(limit)
    return [WorkerRow(**{**row, "alive": bool(row["alive"])}) for row in connection.execute(query).mappings()]
