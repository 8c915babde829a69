"""The queue: a run is claimed with a lease, kept by heartbeats, and ends once."""

from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store.audit import SYSTEM, record
from collidekit.benchmark.store.clock import now
from collidekit.benchmark.store.database import Database
from collidekit.benchmark.store.records import Run
from collidekit.benchmark.store.rows import run_by_id
from collidekit.benchmark.store.tables import attempts, runs, scores, versions, workers
from collidekit.benchmark.store.text import stored_text

MOST_LOSSES = 3
"""Tries of a run that may fail by a fault of the service: a worker that stops responding, or a machine that fails."""
MOST_ATTEMPTS = 20
"""Times that a run may be claimed."""
CLOCK_STEP = 5.0
"""Seconds by which a clock may be set back without any notice."""
ENDED_BY_WORKER = (*(state.value for state in State if state.final), "failed", "given back")
"""Outcomes of an attempt that its worker has written."""


def claim(
    connection: Connection, database: Database, worker: str, lease_seconds: float, without: Collection[int] = ()
) -> Run | None:
    """Give the oldest waiting run to a worker, of other users than ``without``; None where no run waits."""
    query = select(runs.c.id).where(runs.c.state == State.PENDING.value, runs.c.user_id.not_in(without))
    query = query.order_by(runs.c.id).limit(1)
    if (run := connection.execute(_locked(query, database)).scalar()) is None:
        return None
    chosen = (runs.c.id == run) & (runs.c.state == State.PENDING.value)
    attempt = connection.execute(select(runs.c.attempt).where(chosen)).scalar_one() + 1
    latest = select(versions.c.definition_hash).where(versions.c.id == runs.c.version_id).scalar_subquery()
    values = {
        "state": State.RUNNING.value, "worker": worker, "attempt": attempt, "reason": f"runs on {worker}", "started_at": now(),
        "heartbeat_at": now(), "lease_until": now() + lease_seconds, "definition_hash": latest, "folder": folder_of(run, attempt),
    }  # fmt: skip
    connection.execute(update(runs).where(chosen).values(**values))
    connection.execute(insert(attempts).values(run_id=run, number=attempt, worker=worker, claimed_at=now(), reason=""))
    record(connection, worker, "claim", f"run {run}", {"attempt": attempt})
    return run_by_id(connection, run)


def folder_of(run: int, attempt: int) -> str:
    """Return the folder of an attempt, relative to that of the store: no two attempts share one."""
    return str(PurePosixPath("runs") / f"{run // 1000:03d}" / str(run) / f"attempt_{attempt}")


def heartbeat(connection: Connection, run: Run, worker: str, lease_seconds: float) -> bool:
    """Extend the lease, and note that the worker lives; False where the run is not this worker's any more."""
    connection.execute(update(workers).where(workers.c.name == worker).values(seen_at=now()))
    values = {"heartbeat_at": now(), "lease_until": now() + lease_seconds}
    return connection.execute(update(runs).where(_own(run, worker)).values(**values)).rowcount == 1


def cancel_requested(connection: Connection, run: Run) -> bool:
    """Return whether somebody asked to stop a run."""
    query = select(runs.c.cancel_requested_at).where(runs.c.id == run.id)
    return connection.execute(query).scalar() is not None


def finish(
    connection: Connection, run: Run, worker: str, values: Mapping[str, Any], details: Any = None, for_owners: str = ""
) -> bool:
    """Write how a run ended; False where the run is not this worker's any more, and nothing is written.

    ``values`` are columns of the run; ``details`` all scores with their replicates; ``for_owners`` is noted in the audit trail alone. A run that failed by a fault of the service
    waits again, for at most ``MOST_LOSSES`` tries.
    """
    if values["state"] == State.ERROR.value and values["fault"] == Fault.SERVICE.value:
        return _fail(connection, run, worker, values, for_owners)
    if values["state"] == State.SUCCESS.value and _canceled_meanwhile(connection, run, worker):
        values, details = (
            {**values, "state": State.CANCELED.value, "reason": "canceled while it was scored", "scores": None},
            None,
        )
    written = {**values, "finished_at": now(), "lease_until": None}
    if connection.execute(update(runs).where(_own(run, worker)).values(**written)).rowcount != 1:
        return _finished_before(connection, run, worker)
    if details is not None:
        connection.execute(insert(scores).values(run_id=run.id, content=details))
    _end_attempt(connection, run.id, run.attempt, str(values["state"]), str(values["reason"]))
    told = {name: values.get(name) for name in ("state", "fault", "reason")} | _details(for_owners)
    record(connection, worker, "finish", f"run {run.id}", {"attempt": run.attempt, **told})
    return True


def _canceled_meanwhile(connection: Connection, run: Run, worker: str) -> bool:
    """Return whether somebody asked to stop a run of this worker; from now on until the end of the transaction nobody can."""
    query = select(runs.c.cancel_requested_at).where(_own(run, worker)).with_for_update()
    return connection.execute(query).scalar() is not None


def _fail(connection: Connection, run: Run, worker: str, values: Mapping[str, Any], for_owners: str) -> bool:
    """End a try that failed by a fault of the service; the run waits again, or ends."""
    reason = str(values["reason"])
    after = _after_loss(run.losses + 1, cancel_requested(connection, run), f"try {run.attempt} failed: {reason}")
    if connection.execute(update(runs).where(_own(run, worker)).values(**{**values, **after})).rowcount != 1:
        return _finished_before(connection, run, worker)
    _end_attempt(connection, run.id, run.attempt, "failed", reason)
    told = {"attempt": run.attempt, "state": after["state"], "reason": after["reason"]} | _details(for_owners)
    record(connection, worker, "fail", f"run {run.id}", told)
    return True


def _details(for_owners: str) -> dict[str, str]:
    return {"details": stored_text(for_owners)} if for_owners else {}


def _after_loss(losses: int, canceled: bool, reason: str) -> dict[str, Any]:
    """Return how a run goes on after a try that failed by a fault of the service."""
    ended: dict[str, Any] = {"losses": losses, "lease_until": None, "finished_at": now(), "fault": None}
    if canceled:
        return {**ended, "state": State.CANCELED.value, "reason": stored_text(f"canceled; {reason}")}
    if losses >= MOST_LOSSES:
        why = f"{reason}; {losses} tries failed by a fault of the service, so it is not tried again; an organiser can run it again"
        return {**ended, "state": State.ERROR.value, "fault": Fault.SERVICE.value, "reason": stored_text(why)}
    why = f"{reason}; waits for another worker (failed tries: {losses} of {MOST_LOSSES})"
    return {**ended, "state": State.PENDING.value, "worker": None, "finished_at": None, "reason": stored_text(why)}


def _finished_before(connection: Connection, run: Run, worker: str) -> bool:
    """Return whether this worker has ended this very attempt already: the answer to an earlier call was lost."""
    chosen = (attempts.c.run_id == run.id) & (attempts.c.number == run.attempt) & (attempts.c.worker == worker)
    return connection.execute(select(attempts.c.outcome).where(chosen)).scalar() in ENDED_BY_WORKER


def give_back(connection: Connection, run: Run, worker: str, reason: str) -> bool:
    """Put a run back into the queue, as a worker does that stops; it does not count as a failed try."""
    after = _after_loss(run.losses, cancel_requested(connection, run), reason)
    if after["state"] == State.PENDING.value and run.attempt >= MOST_ATTEMPTS:
        why = f"{reason}; {run.attempt} workers have begun it, and none came to its end: the organiser has to look at the workers"
        after |= {"state": State.ERROR.value, "fault": Fault.SERVICE.value, "reason": why, "finished_at": now()}
    if connection.execute(update(runs).where(_own(run, worker)).values(**after)).rowcount != 1:
        return _finished_before(connection, run, worker)
    _end_attempt(connection, run.id, run.attempt, "given back", reason)
    record(connection, worker, "give back", f"run {run.id}", {"attempt": run.attempt, "reason": reason})
    return True


def expire(connection: Connection, database: Database) -> list[int]:
    """End the leases that are over: each run waits again, or ends with a reason; returns their numbers."""
    ahead = update(runs).where(runs.c.state == State.RUNNING.value, _of_the_future())
    length = runs.c.lease_until - runs.c.heartbeat_at
    connection.execute(ahead.values(lease_until=now() + length, heartbeat_at=now()))
    query = select(runs.c.id, runs.c.attempt, runs.c.losses, runs.c.worker, runs.c.cancel_requested_at)
    query = query.where(runs.c.state == State.RUNNING.value, runs.c.lease_until < now()).order_by(runs.c.id)
    found = connection.execute(_locked(query, database)).mappings().all()
    for row in found:
        gone = f"worker {row['worker']} stopped responding"
        values = _after_loss(row["losses"] + 1, row["cancel_requested_at"] is not None, gone)
        connection.execute(update(runs).where(runs.c.id == row["id"]).values(**values))
        _end_attempt(connection, row["id"], row["attempt"], "lost", gone)
        told = {"attempt": row["attempt"], "state": values["state"], "reason": values["reason"]}
        record(connection, SYSTEM, "expire", f"run {row['id']}", told)
    return [int(row["id"]) for row in found]


def work_waits(connection: Connection) -> bool:
    """Return whether a run waits or a lease is over; it only reads."""
    over = (runs.c.state == State.RUNNING.value) & ((runs.c.lease_until < now()) | _of_the_future())
    query = select(func.count()).select_from(runs).where((runs.c.state == State.PENDING.value) | over)
    return connection.execute(query).scalar_one() > 0


def _of_the_future() -> Any:
    """The condition that the clock of the database was set back since the last heartbeat: a lease would end too late."""
    return runs.c.heartbeat_at > now() + CLOCK_STEP


def _own(run: Run, worker: str) -> Any:
    """The condition that a run is still that of a worker: the number of the attempt fences off earlier ones."""
    return (
        (runs.c.id == run.id) & (runs.c.state == State.RUNNING.value)
        & (runs.c.worker == worker) & (runs.c.attempt == run.attempt)
    )  # fmt: skip


def _end_attempt(connection: Connection, run: int, number: int, outcome: str, reason: str) -> None:
    chosen = (attempts.c.run_id == run) & (attempts.c.number == number)
    connection.execute(
        update(attempts).where(chosen).values(ended_at=now(), outcome=outcome, reason=stored_text(reason))
    )


def _locked(query: Any, database: Database) -> Any:
    """Lock the rows of a query in PostgreSQL and pass over those that another worker takes; SQLite has one writer."""
    return query.with_for_update(skip_locked=True, of=runs) if database.is_postgresql else query
