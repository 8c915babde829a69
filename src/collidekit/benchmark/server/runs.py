"""What the API and the pages do with runs."""

from fastapi import HTTPException

from collidekit.benchmark.server.service import Service
from collidekit.benchmark.states import State
from collidekit.benchmark.store import Role, Run, User
from collidekit.errors import CollidekitError


def seen_run(service: Service, run: int, user: User | None) -> tuple[Run, bool]:
    """Return a run, and whether the user may see all of it.

    Everybody who sees a leaderboard sees scores and provenance of its successful runs; members of the group and organisers see
    the rest.
    """
    found = _run(service, run)
    if user is not None and service.store.may_see(found, user):
        return found, True
    phase = service.version(found.benchmark).definition.phases.get(found.phase)
    ranked = found.state is State.SUCCESS and found.withdrawn_at is None
    if not ranked or phase is None or not service.sees_board(user, phase):
        raise HTTPException(403, f"run {run} is visible to its participant and the organisers only")
    return found, False


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
    text = service.store.log(run.id)
    return text if last is None or len(text) <= last else text[-last:]


def cancel(service: Service, run: int, user: User) -> Run:
    """Cancel a run; an error (409) where it is over."""
    found = find_run(service, run, user)
    if not service.store.request_cancel(run, user):
        raise HTTPException(409, f"run {run} is over already: {found.state}")
    return service.store.run(run)


def withdraw(service: Service, run: int, user: User) -> Run:
    """Take a run from the leaderboard."""
    find_run(service, run, user)
    return service.store.withdraw(run, user)


def rerun(service: Service, run: int, user: User) -> Run:
    """Run a submission again; returns the new run."""
    if user.role is not Role.OWNER:
        raise HTTPException(403, "only an organiser runs submissions again")
    _run(service, run)
    return service.store.run(service.store.rerun(run, user))
