"""Runs as they are read from the tables."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, select

from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store.records import Attempt, Group, Run
from collidekit.benchmark.store.tables import attempts, benchmarks, groups, members, runs, users, versions
from collidekit.errors import CollidekitError


def select_runs() -> Select[Any]:
    """Return the query of runs with the names of what they belong to."""
    named = (benchmarks.c.name.label("benchmark"), versions.c.number.label("version"), groups.c.name.label("group"))
    joined = (
        runs.join(versions, runs.c.version_id == versions.c.id)
        .join(benchmarks, versions.c.benchmark_id == benchmarks.c.id)
        .join(groups, runs.c.group_id == groups.c.id)
        .join(users, runs.c.user_id == users.c.id)
    )
    kept = [column for column in runs.c if column.name != "request"]
    return select(*kept, *named, users.c.name.label("user")).select_from(joined)


def run_of(row: RowMapping) -> Run:
    """Return a row of ``select_runs`` as a run."""
    values = dict(row)
    values["state"] = State(values["state"])
    values["fault"] = Fault(values["fault"]) if values["fault"] else None
    return Run(**values)


def runs_of(rows: Iterable[RowMapping]) -> list[Run]:
    return [run_of(row) for row in rows]


def run_by_id(connection: Connection, run: int) -> Run:
    """Return a run by its number."""
    if not 0 < run < 2**31 or not (row := connection.execute(select_runs().where(runs.c.id == run)).mappings().first()):
        raise CollidekitError(f"run {run}: there is no such run")
    return run_of(row)


def attempts_of(connection: Connection, run: int) -> list[Attempt]:
    """Return the attempts of a run, the first one first."""
    query = select(attempts).where(attempts.c.run_id == run).order_by(attempts.c.number)
    names = ("number", "worker", "claimed_at", "ended_at", "outcome", "reason")
    return [Attempt(**{name: row[name] for name in names}) for row in connection.execute(query).mappings()]


def groups_where(connection: Connection, condition: Any) -> list[Group]:
    """Return groups with the names of their members."""
    query = select(groups, benchmarks.c.name.label("benchmark"), users.c.name.label("owner")).select_from(
        groups.join(benchmarks, groups.c.benchmark_id == benchmarks.c.id).join(users, groups.c.owner_id == users.c.id)
    )
    rows = connection.execute(query.where(condition).order_by(groups.c.id)).mappings().all()
    inside = select(members.c.group_id, users.c.name).join(users, members.c.user_id == users.c.id).order_by(users.c.id)
    names: dict[int, list[str]] = {}
    for group, name in connection.execute(inside.where(members.c.group_id.in_([row["id"] for row in rows]))):
        names.setdefault(group, []).append(name)
    return [
        Group(
            row["id"], row["benchmark"], row["name"], row["owner"], tuple(names.get(row["id"], ())), row["created_at"]
        )
        for row in rows
    ]


def is_member(connection: Connection, group: int, user: int) -> bool:
    """Return whether a user belongs to a group."""
    query = select(members.c.user_id).where(members.c.group_id == group, members.c.user_id == user)
    return connection.execute(query).first() is not None
