"""Pages of the organiser."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from collidekit.benchmark.server.access import Visitor, for_page
from collidekit.benchmark.server.errors import status_of
from collidekit.benchmark.server.pages.answers import go_to, page
from collidekit.benchmark.server.people import add_user, new_token, revoke_user
from collidekit.benchmark.server.runs import rerun_all
from collidekit.benchmark.server.service import Service, service_of
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import Role
from collidekit.benchmark.store.text import LONGEST_NAME
from collidekit.errors import CollidekitError

routes = APIRouter(prefix="/organiser")
Owner = Annotated[Visitor, Depends(for_page(Role.OWNER))]
OwnerSender = Annotated[Visitor, Depends(for_page(Role.OWNER, form=True))]
UserId = Annotated[int, Path(ge=1, le=2**31 - 1)]
Before = Annotated[int, Query(ge=1, le=2**31 - 1)]
PAGE = 100
LATEST = 20
"""Failed runs that are shown for each fault."""
MEANINGS = {
    Fault.ORGANISER: "The benchmark or its scorer failed. Correct it, then run these again; they count for no limit.",
    Fault.SERVICE: "The machine, the sandbox or the store failed. Run these again once it works; they count for no limit.",
    Fault.PARTICIPANT: "The code of the participant failed; the participant sees the reason.",
}


@routes.get("")
def show_work(
    request: Request, visitor: Owner, again: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None
) -> HTMLResponse:
    """Show workers, the queue and failed runs; ``again`` runs were just added to the queue."""
    service = service_of(request)
    workers = service.store.workers()
    waiting = [run for state in (State.RUNNING, State.PENDING) for run in service.store.runs(state=state, oldest=True)]
    failed = [
        (fault.value.capitalize(), meaning, service.store.runs(state=State.ERROR, fault=fault, limit=LATEST))
        for fault, meaning in MEANINGS.items()
    ]
    return page(
        service, "organiser.html", visitor, here="organiser", tab="/organiser", workers=workers, waiting=waiting,
        again=again, benchmarks=service.store.benchmarks(), alive=sum(worker.alive for worker in workers), failed=failed, latest=LATEST,
    )  # fmt: skip


@routes.post("/benchmarks/{benchmark}/phases/{phase}/rerun")
def rerun_phase(request: Request, benchmark: str, phase: str, visitor: OwnerSender) -> Response:
    """Run again what an earlier version ranked and what failed by a fault of others."""
    assert visitor.user is not None
    return go_to(f"/organiser?again={len(rerun_all(service_of(request), benchmark, phase, visitor.user))}")


@routes.get("/runs")
def show_all_runs(request: Request, visitor: Owner, before: Before = 2**31 - 1) -> HTMLResponse:
    """Show all runs, the newest first."""
    service = service_of(request)
    found = service.store.runs(before=before, limit=PAGE)
    older = found[-1].id if len(found) == PAGE else None
    return page(service, "all_runs.html", visitor, here="organiser", tab="/organiser/runs", runs=found, older=older)


@routes.get("/audit")
def show_audit(request: Request, visitor: Owner, before: Before = 2**31 - 1) -> HTMLResponse:
    """Show the audit trail, the newest first."""
    service = service_of(request)
    found = service.store.audit(before=before, limit=PAGE)
    older = found[-1].id if len(found) == PAGE else None
    return page(service, "audit.html", visitor, here="organiser", tab="/organiser/audit", events=found, older=older)


@routes.get("/users")
def show_users(request: Request, visitor: Owner) -> HTMLResponse:
    """Show all users."""
    return _users(service_of(request), visitor)


@routes.post("/users")
def create_user(
    request: Request,
    visitor: OwnerSender,
    name: Annotated[str, Form()],
    role: Annotated[Role, Form()] = Role.PARTICIPANT,
) -> HTMLResponse:
    """Add a user and show its token this once."""
    service = service_of(request)
    assert visitor.user is not None
    try:
        user, token = add_user(service, name, role, visitor.user)
    except CollidekitError as error:
        return _users(service, visitor, problem=str(error), status=status_of(error))
    return _users(service, visitor, token=token, token_of=user.name)


@routes.post("/users/{user}/token")
def create_token(request: Request, user: UserId, visitor: OwnerSender) -> HTMLResponse:
    """Make a new token of a user and show it this once."""
    service = service_of(request)
    assert visitor.user is not None
    found, token = new_token(service, user, visitor.user)
    return _users(service, visitor, token=token, token_of=found.name)


@routes.post("/users/{user}/revoke")
def revoke(request: Request, user: UserId, visitor: OwnerSender) -> Response:
    """Revoke a user."""
    service = service_of(request)
    assert visitor.user is not None
    try:
        revoke_user(service, user, visitor.user)
    except HTTPException as error:
        return _users(service, visitor, problem=str(error.detail), status=error.status_code)
    return go_to("/organiser/users")


def _users(
    service: Service, visitor: Visitor, token: str = "", token_of: str = "", problem: str = "", status: int = 200
) -> HTMLResponse:
    return page(
        service, "users.html", visitor, status, here="organiser", tab="/organiser/users", users=service.store.users(), token=token,
        token_of=token_of, problem=problem, longest_name=LONGEST_NAME,
    )  # fmt: skip
