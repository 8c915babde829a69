"""The clock of the database: the only one that decides on leases, limits per day and phases."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

DAY = 86400.0


class now(FunctionElement[float]):
    """Seconds since 1970 (UTC) by the clock of the database."""

    type = Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite(element: now, compiler: Any, **settings: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _postgresql(element: now, compiler: Any, **settings: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


def day_start(seconds: float) -> float:
    """Return when the day (UTC) of a time began."""
    return seconds - seconds % DAY


def moment(seconds: float) -> datetime:
    """Return a time of the store as a datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def show_moment(seconds: float) -> str:
    """Return a time of the store as text, such as ``2026-11-30 13:05:09 UTC``."""
    return f"{moment(seconds):%Y-%m-%d %H:%M:%S} UTC"
