"""Queries for the leaderboard and the queue."""

import math
from typing import Any

from sqlalchemy import Connection, func, or_, select

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.result import Scores
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store.clock import now
from collidekit.benchmark.store.records import BoardRow, QueuePlace, Run, Version
from collidekit.benchmark.store.rows import run_by_id, runs_of, select_runs
from collidekit.benchmark.store.tables import benchmarks, groups, members, runs, scores
from collidekit.benchmark.store.versions import check_phase, scoring_hash
from collidekit.benchmark.store.workers import alive_workers, last_message

RECENT = 20
"""Runs that the expected waiting time is computed from."""


def _on_board(version: Version, phase: str) -> Any:
    """The condition for runs whose scores are comparable with those of a version."""
    check_phase(version, phase)
    return (
        (runs.c.scoring_hash == scoring_hash(version.definition, phase)) & (runs.c.scorer_version == version.scorer_version)
        & (runs.c.phase == phase) & (runs.c.state == State.SUCCESS.value) & runs.c.withdrawn_at.is_(None)
    )  # fmt: skip


def board_rows(connection: Connection, version: Version, phase: str) -> list[BoardRow]:
    """Return the best successful run of each group that is not withdrawn, in the order of the groups."""
    query = select(runs.c.id, runs.c.group_id, runs.c.scores).where(_on_board(version, phase)).order_by(runs.c.id)
    best: dict[int, tuple[tuple[float, ...], int]] = {}
    for run, group, found in connection.execute(query):
        candidate = (sort_key(version.definition, found), int(run))
        if group not in best or candidate < best[group]:
            best[group] = candidate
    chosen = [run for _, run in best.values()]
    rows = connection.execute(select_runs().where(runs.c.id.in_(chosen)).order_by(runs.c.group_id)).mappings()
    details = select(scores.c.run_id, scores.c.content).where(scores.c.run_id.in_(chosen))
    content = {row.run_id: row.content for row in connection.execute(details)}
    return [BoardRow(run, scores_of(content[run.id])) for run in runs_of(rows.all())]


def sort_key(benchmark: Benchmark, found: dict[str, Any]) -> tuple[float, ...]:
    """Return the values of the metrics that rank, the best one the smallest; a missing one is the worst."""
    directions = {metric.name: metric.direction for metric in benchmark.metrics}
    names = benchmark.order or [benchmark.metrics[0].name]
    values = [(found.get(name) or {}).get("value") for name in names]
    signed = zip(names, values, strict=True)
    return tuple(
        math.inf if value is None else (-value if directions[name] == "higher" else value) for name, value in signed
    )


def board_state(connection: Connection, version: Version, phase: str) -> str:
    """Return a text that changes when the leaderboard does; for caches."""
    query = select(func.count(), func.max(runs.c.id), func.max(runs.c.finished_at)).where(_on_board(version, phase))
    count, last, finished = connection.execute(query).one()
    return f"{version.id}-{phase}-{count}-{last}-{finished}"


def scores_of(content: dict[str, Any]) -> Scores:
    """Return scores as they were before they became JSON, where null among replicates and runs stands for NaN."""
    lists = {
        part: {
            name: [math.nan if value is None else value for value in values]
            for name, values in content.get(part, {}).items()
        }
        for part in ("replicates", "per_run")
    }
    return Scores.from_dict({**content, **lists})


def run_scores(connection: Connection, run: int) -> Scores | None:
    """Return all scores of a run; None where it has none."""
    content = connection.execute(select(scores.c.content).where(scores.c.run_id == run)).scalar_one_or_none()
    return None if content is None else scores_of(content)


def listed_runs(
    connection: Connection, benchmark: str | None, phase: str | None, user: int | None, group: int | None,
    state: State | None, before: int | None, limit: int, fault: Fault | None = None, oldest: bool = False,
) -> list[Run]:  # fmt: skip
    """Return runs, the newest or the oldest first; those of a user include the runs of its groups."""
    query = select_runs().order_by(runs.c.id if oldest else runs.c.id.desc()).limit(limit)
    if benchmark is not None:
        query = query.where(benchmarks.c.name == benchmark)
    if phase is not None:
        query = query.where(runs.c.phase == phase)
    if user is not None:
        own = select(members.c.group_id).where(members.c.user_id == user)
        query = query.where(or_(runs.c.user_id == user, runs.c.group_id.in_(own)))
    if group is not None:
        query = query.where(groups.c.id == group)
    if state is not None:
        query = query.where(runs.c.state == state.value)
    if fault is not None:
        query = query.where(runs.c.fault == fault.value)
    if before is not None:
        query = query.where(runs.c.id < before)
    return runs_of(connection.execute(query).mappings().all())


def queue_place(connection: Connection, run: int) -> QueuePlace:
    """Return where a run stands in the queue and when it may start."""
    found = run_by_id(connection, run)
    at = connection.execute(select(now())).scalar_one()
    counted = select(func.count()).select_from(runs)
    running = connection.execute(counted.where(runs.c.state == State.RUNNING.value)).scalar_one()
    alive = alive_workers(connection)
    waited = (found.started_at or found.finished_at or at) - found.submitted_at
    if found.state is not State.PENDING:
        silent = found.lease_until is not None and found.lease_until < at
        reason = f"worker {found.worker} stopped responding; waits for another worker" if silent else found.reason
        return QueuePlace(0, running, alive, waited, None, reason)
    ahead = connection.execute(counted.where(runs.c.state == State.PENDING.value, runs.c.id < run)).scalar_one()
    recent = select(runs.c.wall_seconds).where(runs.c.wall_seconds.is_not(None)).order_by(runs.c.finished_at.desc())
    walls = list(connection.execute(recent.limit(RECENT)).scalars())
    estimate = None
    if walls and alive:
        estimate = max(ahead + 1 - max(alive - running, 0), 0) * sum(walls) / len(walls) / alive
    if not alive:
        message = last_message(connection)
        reason = f"no worker runs{f' ({message})' if message else ''}; the organiser has to start one"
    elif ahead:
        reason = f"{ahead} {'run waits' if ahead == 1 else 'runs wait'} before this one"
    else:
        reason = "is the next to start"
    before = f"{found.reason}; " if found.attempt else ""
    return QueuePlace(ahead + 1, running, alive, at - found.submitted_at, estimate, before + reason)
