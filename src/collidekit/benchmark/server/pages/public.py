"""Pages of benchmarks and leaderboards."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from collidekit.benchmark.definition import Phase
from collidekit.benchmark.scoring.labels import metric_labels
from collidekit.benchmark.server.access import Visitor, for_page
from collidekit.benchmark.server.packed import answer_packed
from collidekit.benchmark.server.pages.answers import page
from collidekit.benchmark.server.service import Service, service_of
from collidekit.benchmark.server.words import limits_of, ranked_by
from collidekit.benchmark.store import Role
from collidekit.benchmark.store.clock import show_moment

routes = APIRouter()
Anyone = Annotated[Visitor, Depends(for_page(None))]


@routes.get("/")
def show_benchmarks(request: Request, visitor: Anyone) -> HTMLResponse:
    """Show all benchmarks."""
    service = service_of(request)
    shown = [
        {
            "name": version.name, "title": version.definition.title, "summary": version.definition.description.split("\n\n")[0],
            "ranked_by": ranked_by(version.definition),
            "phases": [{"name": name} for name, phase in version.definition.phases.items() if service.sees_board(visitor.user, phase)],
        }
        for version in service.store.benchmarks()
    ]  # fmt: skip
    return page(service, "benchmarks.html", visitor, benchmarks=shown, here="benchmarks")


@routes.get("/benchmarks/{benchmark}")
def show_benchmark(request: Request, benchmark: str, visitor: Anyone) -> HTMLResponse:
    """Show a benchmark: its phases, metrics, rules and limits."""
    service = service_of(request)
    definition = service.version(benchmark).definition
    labels = metric_labels(definition.metrics)
    phases = [_phase(service, visitor, name, phase) for name, phase in definition.phases.items()]
    return page(
        service, "benchmark.html", visitor, benchmark=definition, phases=phases, ranked_by=ranked_by(definition),
        limits=limits_of(definition), metrics=[{"label": labels[one.name], "direction": one.direction, "settings": one.settings} for one in definition.metrics], can_submit=visitor.may(Role.PARTICIPANT), here="benchmarks",
    )  # fmt: skip


@routes.get("/benchmarks/{benchmark}/phases/{phase}")
def show_leaderboard(request: Request, benchmark: str, phase: str, visitor: Anyone) -> HTMLResponse:
    """Show the leaderboard of a phase."""
    service = service_of(request)
    version = service.version(benchmark)
    found = service.phase(version, phase)
    if not service.sees_board(visitor.user, found):
        raise HTTPException(403, f"the leaderboard of phase {phase!r} is hidden until the phase ends")
    phases = [name for name, one in version.definition.phases.items() if service.sees_board(visitor.user, one)]
    return page(
        service, "leaderboard.html", visitor, benchmark=version.definition, phase=phase, phases=phases,
        board=Markup(service.boards.get(version, phase).html),
        can_submit=visitor.may(Role.PARTICIPANT) and accepts(service, found), here="benchmarks",
    )  # fmt: skip


@routes.get("/benchmarks/{benchmark}/phases/{phase}/roc.svg")
def show_plot(request: Request, benchmark: str, phase: str, visitor: Anyone, narrow: bool = False) -> Response:
    """Return the plot of all ROC curves of a leaderboard."""
    service = service_of(request)
    version = service.version(benchmark)
    if not service.sees_board(visitor.user, service.phase(version, phase)):
        raise HTTPException(403, f"the leaderboard of phase {phase!r} is hidden until the phase ends")
    shown = service.boards.get(version, phase)
    picture = shown.narrow if narrow else shown.wide
    if picture is None:
        raise HTTPException(404, "this leaderboard has no ROC curves")
    shared = "public" if service.settings.public and visitor.user is None else "private"
    return answer_packed(request, picture, "image/svg+xml", f"{shared}, max-age=86400")


def accepts(service: Service, phase: Phase) -> bool:
    """Return whether a phase takes submissions now."""
    now = service.store.now()
    return (phase.start is None or phase.start.timestamp() <= now) and (
        phase.end is None or now < phase.end.timestamp()
    )


def _phase(service: Service, visitor: Visitor, name: str, phase: Phase) -> dict[str, Any]:
    begin = show_moment(phase.start.timestamp()) if phase.start else ""
    end = show_moment(phase.end.timestamp()) if phase.end else ""
    spans = {(True, True): f"{begin} to {end}", (True, False): f"from {begin}", (False, True): f"until {end}"}
    return {
        "name": name, "open": spans.get((bool(begin), bool(end)), "always"), "submissions": phase.submissions,
        "submissions_per_day": phase.submissions_per_day, "shown": service.sees_board(visitor.user, phase),
        "accepts": accepts(service, phase),
    }  # fmt: skip
