"""The page that submits an entry."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from collidekit.benchmark.parameters import Parameter
from collidekit.benchmark.server.access import Visitor, for_page
from collidekit.benchmark.server.errors import status_of
from collidekit.benchmark.server.intake import Intake, queue_archive, receive, submit_environment
from collidekit.benchmark.server.pages.answers import go_to, page
from collidekit.benchmark.server.pages.public import accepts
from collidekit.benchmark.server.render import size
from collidekit.benchmark.server.service import Service, service_of
from collidekit.benchmark.server.words import limits_of
from collidekit.benchmark.store import Role, Version
from collidekit.benchmark.store.text import LONGEST_NAME
from collidekit.errors import CollidekitError

routes = APIRouter()
TEXTS = ("name", "image", "preprocess", "tagger", "kind", "request")
CHUNK = 1 << 18


@routes.get("/benchmarks/{benchmark}/phases/{phase}/submit")
def show_form(
    request: Request, benchmark: str, phase: str, visitor: Annotated[Visitor, Depends(for_page(Role.PARTICIPANT))]
) -> HTMLResponse:
    """Show the form."""
    service = service_of(request)
    version = service.version(benchmark)
    problem = "" if accepts(service, service.phase(version, phase)) else "this phase takes no submissions now"
    return _page(service, version, phase, visitor, {}, problem)


@routes.post("/benchmarks/{benchmark}/phases/{phase}/submit")
async def submit(
    request: Request,
    benchmark: str,
    phase: str,
    visitor: Annotated[Visitor, Depends(for_page(Role.PARTICIPANT, form=True))],
) -> Response:
    """Take the form; where something is wrong, show it again with what is wrong and what was given."""
    service, form = service_of(request), await request.form()
    version = await run_in_threadpool(service.version, benchmark)
    service.phase(version, phase)
    given = {name: str(value) for name, value in form.items() if isinstance(value, str)}
    try:
        run = await _take(service, visitor, version, phase, form, given)
    except CollidekitError as error:
        status, problem = status_of(error), str(error)
    except HTTPException as error:
        status, problem = error.status_code, str(error.detail)
    else:
        return go_to(f"/runs/{run}?said=submitted")
    finally:
        await form.close()
    return await run_in_threadpool(_page, service, version, phase, visitor, given, problem, status)


async def _take(
    service: Service, visitor: Visitor, version: Version, phase: str, form: FormData, given: Mapping[str, str]
) -> int:
    assert visitor.user is not None
    if wait := service.uploads.take(str(visitor.user.id)):
        raise HTTPException(429, f"too many submissions at once; try again in {int(wait) + 1} s")
    parameters = parameters_of(version.definition.parameters, given)
    texts = {name: given.get(name, "").strip() for name in TEXTS}
    if not texts["name"]:
        raise CollidekitError("give the entry a name")
    intake = Intake(visitor.user, version, phase, texts["name"], parameters, 0, texts["request"][:100] or None)
    if texts["kind"] == "environment":
        return await run_in_threadpool(
            submit_environment, service, intake, texts["image"], texts["preprocess"], texts["tagger"]
        )
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise CollidekitError("choose the zip file of your submission")
    upload = await receive(service, intake, _content(file), file.filename)
    return await queue_archive(service, intake, upload)


async def _content(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK):
        yield chunk


def parameters_of(known: list[Parameter], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of a form as values of their types; an empty field is not given."""
    found = {}
    for one in known:
        text = given.get(f"parameter.{one.name}", "").strip()
        if one.type == "bool":
            found[one.name] = text == "true"
        elif text:
            found[one.name] = _value(one, text)
    return found


def _value(parameter: Parameter, text: str) -> Any:
    if parameter.type in ("string", "select", "file"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        wanted = {"int": "a whole number", "float": "a number"}.get(parameter.type, "JSON")
        raise CollidekitError(f"{parameter.label or parameter.name}: {text[:40]!r} is not {wanted}") from None


def _page(
    service: Service,
    version: Version,
    phase: str,
    visitor: Visitor,
    given: Mapping[str, str],
    problem: str,
    status: int = 200,
) -> HTMLResponse:
    """Return the page with the form."""
    assert visitor.user is not None
    definition = version.definition
    shown = {name: given.get(name, "") for name in TEXTS}
    shown["parameters"] = {  # type: ignore[assignment]
        one.name: given.get(f"parameter.{one.name}", _text(one.default) if not given else "")
        for one in definition.parameters
    }
    limits = dict(limits_of(definition))
    today, in_all = service.store.remaining(visitor.user, version.name, phase)
    return page(
        service, "submit.html", visitor, status, benchmark=definition, phase=phase, given=shown, problem=problem,
        parameters=definition.parameters, action=f"/benchmarks/{version.name}/phases/{phase}/submit",
        longest_name=LONGEST_NAME, request_id=secrets.token_urlsafe(12), upload=size(service.settings.upload), here="benchmarks",
        limits=f"{limits['Time of each step']} for each step, {limits['Memory']} of memory and {limits['CPUs']} CPUs",
        allowance=f"You have {today} of {definition.phases[phase].submissions_per_day} submissions left today, {in_all} in this phase.",
        without_images=service.without_images(), can_preprocess=any(step.name == "preprocess" for step in definition.steps),
    )  # fmt: skip


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
