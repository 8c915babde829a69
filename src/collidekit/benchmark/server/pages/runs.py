"""Pages of runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from markupsafe import Markup

from collidekit.benchmark.duration import duration
from collidekit.benchmark.scoring.labels import metric_labels, score_notes, shown_score
from collidekit.benchmark.scoring.result import Score
from collidekit.benchmark.server.access import Visitor, for_page
from collidekit.benchmark.server.pages.answers import go_to, page
from collidekit.benchmark.server.render import moment, size
from collidekit.benchmark.server.runs import cancel, find_run, log_text, rerun, seen_run, withdraw
from collidekit.benchmark.server.service import Service, service_of
from collidekit.benchmark.states import State
from collidekit.benchmark.store import Role, Run, User

routes = APIRouter()
Anyone = Annotated[Visitor, Depends(for_page(None))]
Reader = Annotated[Visitor, Depends(for_page(Role.READER))]
Sender = Annotated[Visitor, Depends(for_page(Role.PARTICIPANT, form=True))]
OwnerSender = Annotated[Visitor, Depends(for_page(Role.OWNER, form=True))]
RunId = Annotated[int, Path(ge=1, le=2**31 - 1)]
Before = Annotated[int, Query(ge=1, le=2**31 - 1)]
PAGE = 50
LOG = 20_000
"""Last characters of the log on the page of a run."""
SAID = {
    "submitted": "The submission is in the queue.", "canceled": "The run is canceled or will be in a few seconds.",
    "withdrawn": "The run is withdrawn: it stays in the store and is not on the leaderboard.", "again": "The submission runs again.",
}  # fmt: skip


@routes.get("/runs")
def show_runs(request: Request, visitor: Reader, before: Before = 2**31 - 1) -> HTMLResponse:
    """Show the runs of the visitor."""
    service = service_of(request)
    assert visitor.user is not None
    found = service.store.runs(user=visitor.user, before=before, limit=PAGE)
    older = found[-1].id if len(found) == PAGE else None
    return page(service, "runs.html", visitor, runs=found, older=older, here="runs")


@routes.get("/runs/{run}")
def show_run(request: Request, run: RunId, visitor: Anyone, said: str = "") -> HTMLResponse:
    """Show a run: state, scores, steps and provenance."""
    service = service_of(request)
    found, full = seen_run(service, run, visitor.user)
    log = _log(service, found, full)
    return page(
        service, "run.html", visitor, run=found, final=found.state.final, said=SAID.get(said, ""), live=_live(service, found, full, log), log=log,
        actions=_actions(found, visitor.user) if full else [], scores=_scores(service, found), score_notes=_score_notes(service, found),
        steps=[_step(step) for step in found.steps or []] if full else [], provenance=_provenance(found, full),
        attempts=_attempts(service, found) if full else [],
    )  # fmt: skip


@routes.get("/runs/{run}/live")
def show_live(request: Request, run: RunId, visitor: Anyone) -> HTMLResponse:
    """Return the part of the page of a run that changes while it runs; at its end the whole page is loaded again."""
    service = service_of(request)
    found, full = seen_run(service, run, visitor.user)
    return HTMLResponse(
        _live(service, found, full, _log(service, found, full)),
        headers={"HX-Refresh": "true"} if found.state.final else {},
    )


@routes.get("/runs/{run}/log")
def show_log(request: Request, run: RunId, visitor: Reader) -> PlainTextResponse:
    """Return the whole log of a run."""
    service = service_of(request)
    assert visitor.user is not None
    return PlainTextResponse(log_text(service, find_run(service, run, visitor.user)))


@routes.post("/runs/{run}/cancel")
def cancel_run(request: Request, run: RunId, visitor: Sender) -> Response:
    """Cancel a run."""
    assert visitor.user is not None
    cancel(service_of(request), run, visitor.user)
    return go_to(f"/runs/{run}?said=canceled")


@routes.post("/runs/{run}/withdraw")
def withdraw_run(request: Request, run: RunId, visitor: Sender) -> Response:
    """Take a run from the leaderboard."""
    assert visitor.user is not None
    withdraw(service_of(request), run, visitor.user)
    return go_to(f"/runs/{run}?said=withdrawn")


@routes.post("/runs/{run}/rerun")
def rerun_run(request: Request, run: RunId, visitor: OwnerSender) -> Response:
    """Run a submission again."""
    assert visitor.user is not None
    return go_to(f"/runs/{rerun(service_of(request), run, visitor.user).id}?said=again")


def _live(service: Service, run: Run, full: bool, log: str | None) -> Markup:
    shown = service.templates.get_template("live.html").render(
        run=run, final=run.state.final, sentence=_sentence(service, run, full), log=log
    )
    return Markup(shown)


def _log(service: Service, run: Run, full: bool) -> str | None:
    return log_text(service, run, LOG) if full else None


def _sentence(service: Service, run: Run, full: bool) -> str:
    """Return in a sentence why a run is where it is, and for how long."""
    if run.state.final:
        said = run.reason if full else ""
        if run.state is State.SUCCESS and run.scores is None:
            said = "its scores are shown when the phase ends"
        return f"{said[:1].upper()}{said[1:]}{'.' if said and said[-1] not in '.!?' else ''}"
    place = service.store.queue_place(run.id)
    if not place.position:
        return f"Started after {duration(place.waited_seconds)}: {place.reason}."
    when = f" It may start in {duration(place.estimate_seconds)}." if (place.estimate_seconds or 0) >= 1 else ""
    return f"Place {place.position} in the queue, for {duration(place.waited_seconds)}: {place.reason}.{when}"


def _actions(run: Run, user: User | None) -> list[dict[str, str]]:
    """Return what the visitor may do with a run."""
    found = []
    if user is None or user.role is Role.READER:
        return []
    if not run.state.final:
        found.append({"name": "cancel", "label": "Cancel this run"})
    if run.withdrawn_at is None:
        found.append({"name": "withdraw", "label": "Withdraw this run"})
    if user.role is Role.OWNER and run.state.final:
        found.append({"name": "rerun", "label": "Run again"})
    return found


def _scores(service: Service, run: Run) -> list[dict[str, Any]]:
    scores = run.scores or {}
    metrics = service.store.version(run.version_id).definition.metrics if scores else []
    labels = metric_labels(metrics)
    return [
        {
            "label": labels[one.name],
            "score": shown_score(found := Score(**scores[one.name]), one.precision),
            "spread": found.spread,
        }
        for one in metrics
        if one.name in scores
    ]


def _score_notes(service: Service, run: Run) -> list[str]:
    """Return how many trainings of an ensemble count, and what a reader of the scores must know."""
    found = service.store.scores(run.id) if run.scores else None
    return [] if found is None else score_notes(found, run.notes or ())


def _step(step: dict[str, Any]) -> dict[str, str]:
    outcome = step["outcome"]
    return {
        "name": f"{step['step']} on {step['sample']}", "result": "ended well" if outcome["ok"] else outcome["reason"] or "failed",
        "wall": duration(outcome["wall_seconds"]), "cpu": duration(outcome["cpu_seconds"]), "memory": size(outcome["peak_memory"]),
    }  # fmt: skip


def _provenance(run: Run, full: bool) -> list[tuple[str, Any]]:
    energy = "not known" if run.energy_joules is None else f"{run.energy_joules / 3600:.3g} Wh (estimate from CPU time)"
    rows = [
        ("Entry", run.group), ("Submitted by", run.user), ("Benchmark", f"{run.benchmark}, version {run.version}, phase {run.phase}"),
        ("Submitted", moment(run.submitted_at)), ("Started", moment(run.started_at) or "not yet"),
        ("Ended", moment(run.finished_at) or "not yet"), ("Code hash", run.code_hash or "not known yet"),
        ("Image digest", run.image_digest or "no container image"), ("Random seed", run.seed),
        ("Wall-clock time", duration(run.wall_seconds)), ("CPU time", duration(run.cpu_seconds)),
        ("Peak memory", size(run.peak_memory)), ("Energy", energy), ("Scorer", f"version {run.scorer_version}" if run.scorer_version else "not known"),
        ("Definition hash", run.definition_hash),
    ]  # fmt: skip
    if full:
        shown = ", ".join(f"{name} = {value}" for name, value in run.parameters.items())
        rows.append(("Parameters", shown or "none"))
    if full and run.fault:
        rows.append(("Who has to act", f"the {run.fault.value}"))
    if run.rerun_of:
        rows.append(("Made again from", f"run {run.rerun_of}"))
    return rows


def _attempts(service: Service, run: Run) -> list[dict[str, Any]]:
    found = service.store.attempts(run.id)
    if len(found) < 2:
        return []
    return [
        {"number": one.number, "worker": one.worker, "began": moment(one.claimed_at),
         "outcome": f"{one.outcome or 'under way'}{': ' + one.reason if one.reason else ''}"}
        for one in found
    ]  # fmt: skip
