"""Benchmarks of the store and their versions: nothing that a run depends on changes under it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from collidekit.benchmark.checksums import definition_hash
from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.store.audit import record
from collidekit.benchmark.store.clock import now
from collidekit.benchmark.store.database import Database
from collidekit.benchmark.store.records import Version
from collidekit.benchmark.store.tables import benchmarks, versions
from collidekit.errors import CollidekitError, did_you_mean

UNSCORED = {
    "title", "description", "instructions", "rules", "contact", "license", "parameters", "limits", "order", "references", "build", "phases",
    "metrics",
}  # fmt: skip
"""Keys of a definition that the scores of a run do not depend on; the samples of its phase and the metrics count apart."""
METRIC = ("name", "metric", "settings", "direction")


def scoring_hash(benchmark: Benchmark, phase: str) -> str:
    """Return the SHA-256 of what the scores in a phase depend on: texts, dates, limits and the order of metrics do not count."""
    content = benchmark.model_dump(mode="json", exclude_defaults=True)
    scored = {name: value for name, value in content.items() if name not in UNSCORED}
    scored["metrics"] = [{name: metric[name] for name in METRIC if name in metric} for metric in content["metrics"]]
    scored["samples"] = content["phases"][phase]["samples"]
    return hashlib.sha256(json.dumps({**scored, "phase": phase}, sort_keys=True).encode()).hexdigest()


def register(
    connection: Connection, database: Database, benchmark: Benchmark, folder: Path, scorer: str, actor: str
) -> int:
    """Add a benchmark, or a version of it where the definition or the scorer changed; returns the id of the version."""
    folder = folder.absolute()
    number = _benchmark_id(connection, database, benchmark.name)
    found = definition_hash(benchmark)
    same = (versions.c.benchmark_id == number) & (versions.c.definition_hash == found)
    known = connection.execute(select(versions).where(same & (versions.c.scorer_version == scorer))).mappings().first()
    if known:
        version = int(known["id"])
        if known["folder"] != str(folder):
            connection.execute(update(versions).where(versions.c.id == version).values(folder=str(folder)))
            record(connection, actor, "move benchmark", f"benchmark {benchmark.name}", {"folder": str(folder)})
    else:
        last = connection.execute(select(func.max(versions.c.number)).where(versions.c.benchmark_id == number)).scalar()
        values = {
            "benchmark_id": number, "number": (last or 0) + 1, "definition_hash": found, "scorer_version": scorer,
            "content": benchmark.model_dump(mode="json"), "folder": str(folder), "registered_at": now(),
        }  # fmt: skip
        version = connection.execute(insert(versions).values(**values).returning(versions.c.id)).scalar_one()
    current = connection.execute(select(benchmarks.c.current).where(benchmarks.c.id == number)).scalar()
    if current != version:
        connection.execute(update(benchmarks).where(benchmarks.c.id == number).values(current=version))
        details = {"version": version, "definition_hash": found, "scorer_version": scorer}
        record(connection, actor, "register benchmark", f"benchmark {benchmark.name}", details)
    return version


def _benchmark_id(connection: Connection, database: Database, name: str) -> int:
    """Return the id of a benchmark, which is added where it is not there; its row is locked."""
    query = select(benchmarks.c.id).where(benchmarks.c.name == name).with_for_update()
    if (found := connection.execute(query).scalar()) is None:
        insert_or_not(connection, database, benchmarks, {"name": name, "created_at": now()})
        found = connection.execute(query).scalar_one()
    return int(found)


def insert_or_not(connection: Connection, database: Database, table: Any, values: dict[str, Any]) -> None:
    """Insert a row, unless another process has just inserted one with the same name."""
    if database.is_postgresql:
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        connection.execute(insert_postgresql(table).values(**values).on_conflict_do_nothing())
    else:
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite

        connection.execute(insert_sqlite(table).values(**values).on_conflict_do_nothing())


def current_versions(connection: Connection) -> list[Version]:
    """Return the current version of each benchmark, by name."""
    query = _query().where(versions.c.id == benchmarks.c.current).order_by(benchmarks.c.name)
    return [_version(row) for row in connection.execute(query).mappings()]


def versions_of(connection: Connection, name: str) -> list[Version]:
    """Return all versions of a benchmark, the newest first."""
    query = _query().where(benchmarks.c.name == name).order_by(versions.c.number.desc())
    return [_version(row) for row in connection.execute(query).mappings()]


def version_of(connection: Connection, name: str, number: int | None = None) -> Version:
    """Return a version of a benchmark by its number; without one the current version."""
    query = _query().where(benchmarks.c.name == name)
    query = query.where(versions.c.id == benchmarks.c.current if number is None else versions.c.number == number)
    if row := connection.execute(query).mappings().first():
        return _version(row)
    known = list(connection.execute(select(benchmarks.c.name).order_by(benchmarks.c.name)).scalars())
    if name in known:
        raise CollidekitError(f"benchmark {name!r}: there is no version {number}")
    close = did_you_mean(name, known) or (f"; there are {', '.join(known)}" if known else "; none is registered")
    raise CollidekitError(f"benchmark {name!r}: there is no such benchmark{close}")


def version_by_id(connection: Connection, version: int) -> Version:
    """Return a version by its id."""
    row = connection.execute(_query().where(versions.c.id == version)).mappings().first()
    if row is None:
        raise CollidekitError(f"version {version}: there is no such version of a benchmark")
    return _version(row)


def check_phase(version: Version, phase: str) -> None:
    """Raise an error for a phase that a benchmark does not have."""
    if phase not in version.definition.phases:
        close = did_you_mean(phase, list(version.definition.phases))
        close = close or f"; phases are {', '.join(version.definition.phases)}"
        raise CollidekitError(f"{version.name}: there is no phase {phase!r}{close}")


def _query() -> Any:
    return select(versions, benchmarks.c.name, benchmarks.c.current).join(
        benchmarks, versions.c.benchmark_id == benchmarks.c.id
    )


def _version(row: RowMapping) -> Version:
    folder = Path(row["folder"])
    definition = Benchmark.model_validate({**row["content"], "folder": folder})
    return Version(
        id=row["id"], name=row["name"], number=row["number"], definition_hash=row["definition_hash"],
        scorer_version=row["scorer_version"], definition=definition, folder=folder, registered_at=row["registered_at"],
        current=row["id"] == row["current"],
    )  # fmt: skip
