"""Routes of the API that take submissions."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool

from collidekit.benchmark.server import intake as taken
from collidekit.benchmark.server.access import for_api
from collidekit.benchmark.server.api.models import NewRun, RunOut
from collidekit.benchmark.server.errors import problems
from collidekit.benchmark.server.intake import Intake, queue_archive, receive
from collidekit.benchmark.server.service import Service, service_of
from collidekit.benchmark.store import Role, User
from collidekit.benchmark.store.text import LONGEST_NAME

routes = APIRouter(tags=["submissions"])
Participant = Annotated[User, Depends(for_api(Role.PARTICIPANT))]
RequestId = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=100, pattern=r"^[\x21-\x7e]+$",
        description="A text of your choice: the same text again returns the same run, so a lost answer does no harm.",
    ),
]  # fmt: skip
KINDS = ("application/zip", "application/gzip", "application/x-tar")
ARCHIVE = {"required": True, "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in KINDS}}


@routes.post(
    "/benchmarks/{benchmark}/phases/{phase}/runs", status_code=201, responses=problems(401, 403, 404, 413, 422)
)
def submit_environment(
    request: Request, benchmark: str, phase: str, submission: NewRun, user: Participant, request_id: RequestId = None
) -> RunOut:
    """Submit a container image and commands; returns the run, which waits for a worker."""
    service = service_of(request)
    intake = _intake(
        service, user, benchmark, phase, submission.name, submission.parameters, submission.seed, request_id
    )
    return _run(
        service, taken.submit_environment(service, intake, submission.image, submission.preprocess, submission.tagger)
    )


@routes.post(
    "/benchmarks/{benchmark}/phases/{phase}/uploads", status_code=201, responses=problems(401, 403, 404, 408, 413, 415, 422, 507),
    openapi_extra={"requestBody": ARCHIVE},
)  # fmt: skip
async def submit_upload(
    request: Request, benchmark: str, phase: str, user: Participant,
    checksum: Annotated[
        str, Header(alias="X-Checksum-SHA256", pattern=r"^[0-9a-fA-F]{64}$", description="SHA-256 of the archive, in hex.")
    ],
    name: Annotated[str, Query(min_length=1, max_length=LONGEST_NAME, description="Name of the entry on the leaderboard.", examples=["particle_net"])],
    parameters: Annotated[str, Query(max_length=100_000, description="Parameters as JSON.", examples=['{"seed": 1}'])] = "{}",
    seed: Annotated[int, Query(ge=0, lt=2**31, description="Random seed that the submission gets.")] = 0,
    request_id: RequestId = None,
) -> RunOut:  # fmt: skip
    """Submit an archive (zip, tar or tar.gz) of a submission; returns the run, which waits for a worker.

    The file is kept only if its SHA-256 is the one of the header.
    """
    service = service_of(request)
    intake = await run_in_threadpool(
        _intake, service, user, benchmark, phase, name, parameters_of(parameters), seed, request_id
    )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in KINDS:
        raise HTTPException(415, f"send the archive itself, with a header 'Content-Type' of {', '.join(KINDS)}")
    upload = await receive(service, intake, request.stream(), name or "submission", checksum)
    return await run_in_threadpool(_run, service, await queue_archive(service, intake, upload))


def _intake(
    service: Service,
    user: User,
    benchmark: str,
    phase: str,
    name: str,
    parameters: dict[str, Any],
    seed: int,
    request_id: str | None,
) -> Intake:
    version = service.version(benchmark)
    service.phase(version, phase)
    if wait := service.uploads.take(str(user.id)):
        raise HTTPException(
            429, f"too many submissions at once; try again in {int(wait) + 1} s", {"Retry-After": str(int(wait) + 1)}
        )
    return Intake(user, version, phase, name, parameters, seed, request_id)


def parameters_of(text: str) -> dict[str, Any]:
    """Return parameters from JSON."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HTTPException(422, 'parameters: write names and values as JSON, such as {"seed": 1}')
    return found


def _run(service: Service, run: int) -> RunOut:
    return RunOut.of(service.store.run(run), service.store.queue_place(run))
