"""Routes of the API that show benchmarks and leaderboards."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.server.access import OPTIONAL_TOKEN, for_api
from collidekit.benchmark.server.api.models import (
    BenchmarkOut,
    BoardOut,
    Limits,
    Me,
    PhaseOut,
)  # fmt: skip
from collidekit.benchmark.server.errors import problems
from collidekit.benchmark.server.packed import answer_packed
from collidekit.benchmark.server.service import Service, service_of
from collidekit.benchmark.store import Role, User, Version

routes = APIRouter(tags=["benchmarks"], responses=problems(401, 403))
Anyone = Annotated[User | None, Depends(for_api(None))]
Reader = Annotated[User, Depends(for_api(Role.READER))]


@routes.get("/service", openapi_extra=OPTIONAL_TOKEN)
def show_service(request: Request, user: Anyone) -> Limits:
    """Return the limits of this server."""
    settings = service_of(request).settings
    version = str(service_of(request).templates.globals["version"])
    return Limits(title=settings.title, version=version, upload_bytes=settings.upload, public=settings.public)


@routes.get("/me")
def show_me(user: Reader) -> Me:
    """Return the user of the token."""
    return Me.of(user)


@routes.get("/benchmarks", openapi_extra=OPTIONAL_TOKEN)
def list_benchmarks(request: Request, user: Anyone) -> list[BenchmarkOut]:
    """Return all benchmarks."""
    service = service_of(request)
    return [benchmark_out(service, version, user) for version in service.store.benchmarks()]


@routes.get("/benchmarks/{benchmark}", responses=problems(401, 403, 404), openapi_extra=OPTIONAL_TOKEN)
def show_benchmark(request: Request, benchmark: str, user: Anyone) -> BenchmarkOut:
    """Return a benchmark."""
    service = service_of(request)
    return benchmark_out(service, service.version(benchmark), user)


@routes.get(
    "/benchmarks/{benchmark}/phases/{phase}/leaderboard",
    response_model=BoardOut,
    responses=problems(401, 403, 404),
    openapi_extra=OPTIONAL_TOKEN,
)
def show_leaderboard(
    request: Request, benchmark: str, phase: str, user: Anyone,
    curves: Annotated[bool, Query(description="Also the ROC curve of each entry.")] = False,
) -> Response:  # fmt: skip
    """Return the leaderboard of a phase: the best run of each entry, ranked."""
    service = service_of(request)
    version = service.version(benchmark)
    if not service.sees_board(user, service.phase(version, phase)):
        raise HTTPException(403, f"the leaderboard of phase {phase!r} is hidden until the phase ends")
    shown = service.boards.get(version, phase)
    return answer_packed(request, shown.with_curves if curves else shown.content, "application/json")


def benchmark_out(service: Service, version: Version, user: User | None) -> BenchmarkOut:
    """Return what the API shows of a benchmark."""
    definition: Benchmark = version.definition
    shown = definition.model_dump(mode="json")
    kept = (
        "name",
        "title",
        "description",
        "instructions",
        "rules",
        "task",
        "metrics",
        "parameters",
        "output",
        "limits",
    )
    phases = [
        PhaseOut(
            name=name, start=phase.start, end=phase.end, submissions_per_day=phase.submissions_per_day, submissions=phase.submissions,
            board_shown=service.sees_board(user, phase),
        )
        for name, phase in definition.phases.items()
    ]  # fmt: skip
    return BenchmarkOut(
        **{name: shown[name] for name in kept}, version=version.number, phases=phases,
        order=definition.order or [definition.metrics[0].name],
    )  # fmt: skip
