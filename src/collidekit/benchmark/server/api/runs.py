"""Routes of the API for runs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import PlainTextResponse

from collidekit.benchmark.scoring.labels import score_notes
from collidekit.benchmark.server.access import OPTIONAL_TOKEN, for_api
from collidekit.benchmark.server.api.models import NewMember, RunOut
from collidekit.benchmark.server.errors import problems
from collidekit.benchmark.server.runs import (
    all_without_hidden_scores,
    cancel,
    find_run,
    log_text,
    rerun,
    seen_run,
    share,
    withdraw,
)
from collidekit.benchmark.server.service import service_of
from collidekit.benchmark.store import Role, User

routes = APIRouter(tags=["runs"], responses=problems(401, 403, 404))
Anyone = Annotated[User | None, Depends(for_api(None))]
Participant = Annotated[User, Depends(for_api(Role.PARTICIPANT))]
Owner = Annotated[User, Depends(for_api(Role.OWNER))]
RunId = Annotated[int, Path(ge=1, le=2**31 - 1, examples=[17])]
PAGE = 100


@routes.get("/runs")
def list_runs(
    request: Request, user: Participant, before: Annotated[int, Query(ge=1, le=2**31 - 1, description="Only runs with a lower number.")] = 2**31 - 1
) -> list[RunOut]:  # fmt: skip
    """Return runs, the newest first, at most 100: your own, or all for an organiser."""
    own = None if user.role is Role.OWNER else user
    service = service_of(request)
    found = service.store.runs(user=own, before=before, limit=PAGE)
    return [RunOut.of(run) for run in all_without_hidden_scores(service, found, user)]


@routes.get("/runs/{run}", openapi_extra=OPTIONAL_TOKEN)
def show_run(request: Request, run: RunId, user: Anyone) -> RunOut:
    """Return a run: its state and the reason, its place in the queue, its scores and where they come from."""
    service = service_of(request)
    found, full = seen_run(service, run, user)
    shown = RunOut.of(found, None if found.state.final else service.store.queue_place(run))
    if found.scores and (scores := service.store.scores(run)):
        shown = shown.model_copy(update={"score_notes": score_notes(scores, found.notes or ())})
    return shown if full else shown.model_copy(update={"parameters": {}, "reason": ""})


@routes.get("/runs/{run}/log", response_model=None, responses={200: {"content": {"text/plain": {}}}})
def show_log(request: Request, run: RunId, user: Participant) -> PlainTextResponse:
    """Return the log of a run as text."""
    service = service_of(request)
    return PlainTextResponse(log_text(service, find_run(service, run, user)))


@routes.post("/runs/{run}/cancel", responses=problems(401, 403, 404, 409))
def cancel_run(request: Request, run: RunId, user: Participant) -> RunOut:
    """Cancel a run that waits, or ask its worker to stop it."""
    return RunOut.of(cancel(service_of(request), run, user))


@routes.post("/runs/{run}/withdraw", responses=problems(401, 403, 404))
def withdraw_run(request: Request, run: RunId, user: Participant) -> RunOut:
    """Take a run from the leaderboard; it stays in the store. The answer names the runs that repeat it, which stay."""
    service = service_of(request)
    shown = RunOut.of(withdraw(service, run, user))
    return shown.model_copy(update={"reruns": service.store.reruns(run)})


@routes.post("/runs/{run}/members", responses=problems(401, 403, 404))
def share_run(request: Request, run: RunId, member: NewMember, user: Participant) -> RunOut:
    """Let another user submit under the name of this run, and see and change its runs; only its owner and organisers may."""
    return RunOut.of(share(service_of(request), run, user, member.user))


@routes.post("/runs/{run}/rerun", status_code=201)
def rerun_run(request: Request, run: RunId, user: Owner) -> RunOut:
    """Run a submission again with the current version of its benchmark; returns the new run."""
    return RunOut.of(rerun(service_of(request), run, user))
