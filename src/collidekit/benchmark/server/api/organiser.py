"""Routes of the API for organisers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from collidekit.benchmark.server.access import for_api
from collidekit.benchmark.server.api.models import EventOut, Me, NewRuns, NewUser, UserToken, WorkerOut
from collidekit.benchmark.server.errors import problems
from collidekit.benchmark.server.people import add_user, new_token, revoke_user
from collidekit.benchmark.server.runs import rerun_all
from collidekit.benchmark.server.service import service_of
from collidekit.benchmark.store import Role, User

routes = APIRouter(tags=["organiser"], responses=problems(401, 403))
Owner = Annotated[User, Depends(for_api(Role.OWNER))]
UserId = Annotated[int, Path(ge=1, le=2**31 - 1, examples=[3])]


@routes.get("/users")
def list_users(request: Request, owner: Owner) -> list[Me]:
    """Return all users."""
    return [Me.of(user) for user in service_of(request).store.users()]


@routes.post("/users", status_code=201, responses=problems(401, 403, 422))
def create_user(request: Request, new: NewUser, owner: Owner) -> UserToken:
    """Add a user; returns its token, which is shown this once."""
    user, token = add_user(service_of(request), new.name, new.role, owner)
    return UserToken(user=Me.of(user), token=token)


@routes.post("/users/{user}/token", status_code=201, responses=problems(401, 403, 404))
def create_token(request: Request, user: UserId, owner: Owner) -> UserToken:
    """Return a new token of a user; the earlier ones stay valid until the user is revoked."""
    found, token = new_token(service_of(request), user, owner)
    return UserToken(user=Me.of(found), token=token)


@routes.post("/users/{user}/revoke", responses=problems(401, 403, 404, 409))
def revoke(request: Request, user: UserId, owner: Owner) -> Me:
    """Revoke all tokens of a user and end its sessions; its runs stay."""
    return Me.of(revoke_user(service_of(request), user, owner))


@routes.post("/benchmarks/{benchmark}/phases/{phase}/rerun", status_code=201, responses=problems(401, 403, 404))
def rerun_phase(request: Request, benchmark: str, phase: str, owner: Owner) -> NewRuns:
    """Run again what an earlier version ranked, and what failed by a fault of the organiser or the service; returns the new runs."""
    return NewRuns(runs=rerun_all(service_of(request), benchmark, phase, owner))


@routes.get("/workers")
def list_workers(request: Request, owner: Owner) -> list[WorkerOut]:
    """Return the workers, alive and stopped."""
    return [WorkerOut.of(row) for row in service_of(request).store.workers()]


@routes.get("/audit")
def list_events(
    request: Request,
    owner: Owner,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Only later events.")] = 0,
) -> list[EventOut]:
    """Return the audit trail in its order, at most 1,000 events after the given one."""
    return [EventOut.of(event) for event in service_of(request).store.audit(after=after, limit=1000)]
