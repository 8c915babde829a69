"""Submissions: groups, limits per day, withdrawal and runs that are made again."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, and_, case, func, insert, or_, select, update

from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store.audit import record
from collidekit.benchmark.store.clock import DAY, day_start, now, show_moment
from collidekit.benchmark.store.database import Database
from collidekit.benchmark.store.look_alikes import name_key
from collidekit.benchmark.store.records import Role, Run, User, Version
from collidekit.benchmark.store.rows import is_member, run_by_id, run_of, select_runs
from collidekit.benchmark.store.tables import benchmarks, groups, members, runs, uploads, users, versions
from collidekit.benchmark.store.text import checked_name
from collidekit.benchmark.store.versions import check_phase, insert_or_not, scoring_hash, version_of
from collidekit.errors import CollidekitError
from collidekit.files import plain

WAITING = "waits for a worker"


def submit(
    connection: Connection, database: Database, user: User, benchmark: str, phase: str, upload: str, name: str,
    parameters: Mapping[str, Any], code_hash: str = "", seed: int = 0, request: str | None = None,
) -> int:  # fmt: skip
    """Add a run to the queue, within the limits of its phase; returns its number.

    ``request`` is a text of the caller's choice: a second call with the same text returns the run of the first one.
    """
    connection.execute(select(users.c.id).where(users.c.id == user.id).with_for_update())  # one submission at a time
    if request is not None and (known := _of_request(connection, user, request)) is not None:
        return known
    version = check(connection, user, benchmark, phase, upload)
    group = _group(connection, database, version, user, checked_name(name, "submission"))
    values = {"group_id": group, "user_id": user.id, "upload": upload, "parameters": plain(dict(parameters)), "request": request,
              "code_hash": code_hash, "seed": seed}  # fmt: skip
    return _insert(connection, version, phase, values, user.name, "submit")


def check(
    connection: Connection, user: User, benchmark: str, phase: str, upload: str, request: str | None = None
) -> Version:
    """Return the version that a submission is for; an error where the user may not submit it now."""
    version = version_of(connection, benchmark)
    if request is not None and _of_request(connection, user, request) is not None:
        return version
    if user.role is Role.READER:
        raise CollidekitError(f"user {user.name!r}: is a reader, who cannot submit; ask the organiser for another role")
    check_phase(version, phase)
    _check_time(version, phase, at := connection.execute(select(now())).scalar_one())
    _check_upload(connection, user, upload)
    if user.role is not Role.OWNER:
        _check_limits(connection, user, version, phase, at)
    return version


def _insert(
    connection: Connection, version: Version, phase: str, values: dict[str, Any], actor: str, action: str
) -> int:
    fixed = {
        "version_id": version.id, "phase": phase, "state": State.PENDING.value, "reason": WAITING, "submitted_at": now(), "attempt": 0,
        "losses": 0, "definition_hash": version.definition_hash, "scoring_hash": scoring_hash(version.definition, phase),
        "scorer_version": version.scorer_version, "image_digest": "", "folder": "",
    }  # fmt: skip
    run: int = connection.execute(insert(runs).values(**fixed, **values).returning(runs.c.id)).scalar_one()
    details = {"benchmark": version.name, "version": version.number, "phase": phase, "group": values["group_id"],
               "upload": values["upload"]}  # fmt: skip
    record(connection, actor, action, f"run {run}", details)
    return run


def _of_request(connection: Connection, user: User, request: str) -> int | None:
    query = select(runs.c.id).where(runs.c.user_id == user.id, runs.c.request == request)
    return connection.execute(query).scalar()


def _check_time(version: Version, name: str, at: float) -> None:
    phase = version.definition.phases[name]
    if phase.start is not None and at < phase.start.timestamp():
        raise CollidekitError(f"{version.name}: phase {name!r} begins at {show_moment(phase.start.timestamp())}")
    if phase.end is not None and at >= phase.end.timestamp():
        raise CollidekitError(f"{version.name}: phase {name!r} ended at {show_moment(phase.end.timestamp())}")


def _check_upload(connection: Connection, user: User, upload: str) -> None:
    query = select(uploads.c.id).where(uploads.c.sha256 == upload, uploads.c.user_id == user.id)
    if connection.execute(query).first() is None:
        raise CollidekitError(f"upload {upload[:12]}: {user.name!r} has not uploaded a file with this checksum")


def _check_limits(connection: Connection, user: User, version: Version, phase: str, at: float) -> None:
    limits = version.definition.phases[phase]
    today = counted_runs(connection, user, version.name, phase, day_start(at))
    if today >= limits.submissions_per_day:
        raise CollidekitError(
            f"{version.name}: {user.name!r} has made {today} of {limits.submissions_per_day} submissions of today in phase {phase!r}; the "
            f"next day begins at {show_moment(day_start(at) + DAY)}"
        )
    if (made := counted_runs(connection, user, version.name, phase, 0.0)) >= limits.submissions:
        raise CollidekitError(
            f"{version.name}: {user.name!r} has made {made} of {limits.submissions} submissions in phase {phase!r}"
        )


def counted_runs(connection: Connection, user: User, benchmark: str, phase: str, since: float) -> int:
    """Return the runs of a user that count for a limit: not those that failed by a fault of others or were made again."""
    query = (
        select(func.count())
        .select_from(runs.join(versions, runs.c.version_id == versions.c.id).join(benchmarks, versions.c.benchmark_id == benchmarks.c.id))
        .where(benchmarks.c.name == benchmark, runs.c.phase == phase, runs.c.user_id == user.id, runs.c.submitted_at >= since)
        .where(runs.c.rerun_of.is_(None), ~_blameless())
    )  # fmt: skip
    return connection.execute(query).scalar_one()


def _blameless() -> Any:
    """Return the condition for runs that failed by a fault of the organiser or the service."""
    return and_(runs.c.state == State.ERROR.value, runs.c.fault.in_([Fault.ORGANISER.value, Fault.SERVICE.value]))


def remaining(connection: Connection, user: User, benchmark: str, phase: str) -> tuple[int, int]:
    """Return how many submissions a user has left today (UTC) and in the whole phase."""
    version = version_of(connection, benchmark)
    check_phase(version, phase)
    limits = version.definition.phases[phase]
    at = connection.execute(select(now())).scalar_one()
    today = limits.submissions_per_day - counted_runs(connection, user, benchmark, phase, day_start(at))
    total = limits.submissions - counted_runs(connection, user, benchmark, phase, 0.0)
    return max(min(today, total), 0), max(total, 0)


def _group(connection: Connection, database: Database, version: Version, user: User, name: str) -> int:
    """Return the id of the group of a name, which is added where it is not there."""
    number = connection.execute(select(benchmarks.c.id).where(benchmarks.c.name == version.name)).scalar_one()
    same = or_(groups.c.name == name, groups.c.name_key == name_key(name))
    query = (
        select(groups).where(groups.c.benchmark_id == number, same).order_by(case((groups.c.name == name, 0), else_=1))
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        values = {
            "benchmark_id": number,
            "name": name,
            "name_key": name_key(name),
            "owner_id": user.id,
            "created_at": now(),
        }
        insert_or_not(connection, database, groups, values)
        row = connection.execute(query.limit(1)).mappings().one()
        if row["owner_id"] == user.id:
            insert_or_not(connection, database, members, {"group_id": row["id"], "user_id": user.id, "added_at": now()})
            record(connection, user.name, "add group", f"group {row['id']}", {"name": name, "benchmark": version.name})
    if not is_member(connection, row["id"], user.id):
        raise CollidekitError(
            f"submission {name!r}: the name belongs to others in {version.name}, or looks like theirs ({row['name']!r}); give another name, or ask its owner to run 'collidekit benchmark share'"
        )
    return int(row["id"])


def add_member(connection: Connection, database: Database, group: int, user: User, added: User) -> None:
    """Let another user submit to a group; its owner and organisers may."""
    owner = connection.execute(select(groups.c.owner_id).where(groups.c.id == group)).scalar()
    if owner is None:
        raise CollidekitError(f"group {group}: there is no such group")
    if user.id != owner and user.role is not Role.OWNER:
        raise CollidekitError(f"group {group}: {user.name!r} is not its owner")
    insert_or_not(connection, database, members, {"group_id": group, "user_id": added.id, "added_at": now()})
    record(connection, user.name, "add member", f"group {group}", {"user": added.name})


def may_see(connection: Connection, run: Run, user: User) -> bool:
    """Return whether a user may see logs and change a run: members of its group and organisers may."""
    return user.role is Role.OWNER or user.id == run.user_id or is_member(connection, run.group_id, user.id)


def allowed(connection: Connection, run: Run, user: User) -> None:
    """Raise an error unless a user may change a run."""
    if not may_see(connection, run, user):
        raise CollidekitError(f"run {run.id}: {user.name!r} is not a member of its group {run.group!r}")


def withdraw(connection: Connection, run: int, user: User) -> Run:
    """Take a run from the leaderboard; it stays in the store. One that is not over is canceled."""
    found = run_by_id(connection, run)
    allowed(connection, found, user)
    if found.withdrawn_at is not None:
        return found
    request_cancel(connection, run, user)
    connection.execute(update(runs).where(runs.c.id == run).values(withdrawn_at=now()))
    record(connection, user.name, "withdraw", f"run {run}")
    return run_by_id(connection, run)


def reruns(connection: Connection, run: int) -> list[int]:
    """Return the runs that repeat a run, also those that repeat a repetition, and stand on the board or may still do so."""
    found, known, last = [], {run}, [run]
    while last:
        query = (
            select(runs.c.id, runs.c.state, runs.c.withdrawn_at).where(runs.c.rerun_of.in_(last)).order_by(runs.c.id)
        )
        rows = connection.execute(query).all()
        last = [row.id for row in rows if row.id not in known]
        known |= set(last)
        over = (State.ERROR.value, State.CANCELED.value)
        found += [row.id for row in rows if row.withdrawn_at is None and row.state not in over]
    return sorted(found)


def request_cancel(connection: Connection, run: int, user: User) -> bool:
    """Cancel a run that waits, or ask its worker to stop it; False where it is over already."""
    found = run_by_id(connection, run)
    allowed(connection, found, user)
    waits = update(runs).where(runs.c.id == run, runs.c.state == State.PENDING.value)
    reason = f"canceled by {user.name} before it started" if not found.attempt else f"canceled by {user.name}"
    at = {"cancel_requested_at": now()}
    ended = waits.values(**at, state=State.CANCELED.value, reason=reason, finished_at=now())
    asked = update(runs).where(runs.c.id == run, runs.c.state == State.RUNNING.value).values(**at)
    if not (connection.execute(ended).rowcount or connection.execute(asked).rowcount):
        return False
    record(connection, user.name, "cancel", f"run {run}")
    return True


def rerun(connection: Connection, run: int, user: User) -> int:
    """Run a submission again with the current version of its benchmark, as the organiser asks; returns the new run."""
    _organiser(user, f"run {run}")
    found = run_by_id(connection, run)
    version = version_of(connection, found.benchmark)
    check_phase(version, found.phase)
    values = {"group_id": found.group_id, "user_id": found.user_id, "upload": found.upload, "parameters": found.parameters,
              "code_hash": found.code_hash, "seed": found.seed, "rerun_of": found.id}  # fmt: skip
    return _insert(connection, version, found.phase, values, user.name, "run again")


def rerun_all(connection: Connection, benchmark: str, phase: str, user: User) -> list[int]:
    """Run again, with the current version, all runs that an earlier version ranked or that failed by a fault of others.

    Others are the organiser and the service. Returns the new runs.
    """
    _organiser(user, f"benchmark {benchmark}")
    version = version_of(connection, benchmark)
    check_phase(version, phase)
    here = (runs.c.scoring_hash == scoring_hash(version.definition, phase)) & (
        runs.c.scorer_version == version.scorer_version
    )
    newer = runs.alias("newer")
    again = select(newer.c.id).where(newer.c.rerun_of == runs.c.id)
    unjudged = _blameless()
    query = (
        select_runs()
        .where(benchmarks.c.name == benchmark, runs.c.phase == phase, runs.c.withdrawn_at.is_(None), ~again.exists())
        .where(or_(unjudged, and_(runs.c.state == State.SUCCESS.value, ~here)))
        .order_by(runs.c.id)
    )
    return [rerun(connection, run_of(row).id, user) for row in connection.execute(query).mappings().all()]


def _organiser(user: User, what: str) -> None:
    if user.role is not Role.OWNER:
        raise CollidekitError(f"{what}: only an organiser can run submissions again, and {user.name!r} is none")
