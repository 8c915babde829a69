"""Actions on runs, shared by the API and the pages."""

import os
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve
from fastapi import HTTPException

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.server.service import Service
from collidekit.benchmark.states import State
from collidekit.benchmark.store import Role, Run, User
from collidekit.benchmark.store.logs import log_files
from collidekit.benchmark.store.versions import scoring_hash
from collidekit.errors import CollidekitError
from collidekit.plain_text import without_controls

LONGEST_LOG = 20_000_000
"""Most bytes of a log that are shown."""


def seen_run(service: Service, run: int, user: User | None) -> tuple[Run, bool]:
    """Return a run, and whether the user may see all of it.

    Everybody who sees a leaderboard sees scores and provenance of its successful runs; members of the group and organisers see
    the rest.
    """
    found = _run(service, run)
    if user is not None and service.store.may_see(found, user):
        return without_hidden_scores(service, found, user), True
    ranked = found.state is State.SUCCESS and found.withdrawn_at is None
    if not ranked or not sees_scores(service, found, user):
        raise HTTPException(403, f"run {run} is visible to its participant and the organisers only")
    return found, False


def without_hidden_scores(service: Service, run: Run, user: User | None, current: Benchmark | None = None) -> Run:
    """Return a run without its scores while the leaderboard of its phase is hidden from the user."""
    return run if sees_scores(service, run, user, current) else evolve(run, scores=None)


def all_without_hidden_scores(service: Service, runs: Sequence[Run], user: User) -> list[Run]:
    """Return runs without the scores that are hidden from the user; each benchmark is looked up once."""
    names = set() if user.role is Role.OWNER else {run.benchmark for run in runs}
    current = {name: service.version(name).definition for name in names}
    return [without_hidden_scores(service, run, user, current.get(run.benchmark)) for run in runs]


def sees_scores(service: Service, run: Run, user: User | None, current: Benchmark | None = None) -> bool:
    """Return whether a user sees the scores of a run; in doubt only organisers do. ``current`` is the benchmark where it is known.

    The version that the run was made with decides, and so does the current one where it has a phase of the same name. Where both
    phases rank the same scores the current one decides alone: an organiser may show a board or hide it.
    """
    if user is not None and user.role is Role.OWNER:
        return True
    own = service.definition(run.version_id)
    current = current or service.version(run.benchmark).definition
    phases = [version.phases.get(run.phase) for version in (own, current)]
    if phases[0] is None:
        return False
    if phases[1] is not None and scoring_hash(current, run.phase) == run.scoring_hash:
        return service.sees_board(user, phases[1])
    return all(service.sees_board(user, phase) for phase in phases if phase is not None)


def find_run(service: Service, run: int, user: User) -> Run:
    """Return a run of the user, or any run for an organiser."""
    found = _run(service, run)
    if not service.store.may_see(found, user):
        raise HTTPException(403, f"run {run} belongs to another participant")
    return found


def _run(service: Service, run: int) -> Run:
    try:
        return service.store.run(run)
    except CollidekitError:
        raise HTTPException(404, f"there is no run {run}") from None


def log_text(service: Service, run: Run, last: int | None = None) -> str:
    """Return the log of a run, or its last characters."""
    found = []
    folder = service.store.run_folder(run)
    for path in sorted(folder / log.name for log in log_files(folder) if "/" in log.name):
        found.append(f"== {path.stem} on {path.parent.name}\n{_end_of(path, last or LONGEST_LOG)}")
    text = "\n".join(found)
    return text if last is None else text[-last:]


def _end_of(path: Path, last: int) -> str:
    """Return the last bytes of a log as text; a link is not followed."""
    try:
        with open(path, "rb", opener=_without_links) as file:  # it closes what is a folder, as os.fdopen does not
            file.seek(max(0, file.seek(0, os.SEEK_END) - last))
            return without_controls(file.read(last).decode("utf-8", "replace"))
    except OSError:
        return ""


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def cancel(service: Service, run: int, user: User) -> Run:
    """Cancel a run; an error (409) where it is over."""
    found = find_run(service, run, user)
    if not service.store.request_cancel(run, user):
        raise HTTPException(409, f"run {run} is over already: {found.state}")
    return without_hidden_scores(service, service.store.run(run), user)


def withdraw(service: Service, run: int, user: User) -> Run:
    """Take a run from the leaderboard."""
    find_run(service, run, user)
    return without_hidden_scores(service, service.store.withdraw(run, user), user)


def share(service: Service, run: int, user: User, member: str) -> Run:
    """Let another user submit under the name of a run."""
    found = find_run(service, run, user)
    service.store.add_member(found.group_id, user, service.store.user_named(member))
    return without_hidden_scores(service, found, user)


def rerun_all(service: Service, benchmark: str, phase: str, user: User) -> list[int]:
    """Run again what an earlier version of a benchmark ranked, and what failed by a fault of others; returns the new runs."""
    version = service.version(benchmark)
    service.phase(version, phase)
    return service.store.rerun_all(version.name, phase, user)


def rerun(service: Service, run: int, user: User) -> Run:
    """Run a submission again; returns the new run."""
    if user.role is not Role.OWNER:
        raise HTTPException(403, "only an organiser runs submissions again")
    _run(service, run)
    return service.store.run(service.store.rerun(run, user))
