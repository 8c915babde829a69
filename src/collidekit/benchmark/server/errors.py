"""Errors as answers: one sentence, as JSON from the API and as a page elsewhere."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from collidekit.benchmark.server.access import Visitor, visitor
from collidekit.benchmark.server.service import service_of
from collidekit.benchmark.store import StoreUnavailable
from collidekit.errors import CollidekitError

PLAIN = {404: "there is nothing at this address", 405: "this address does not take such a request; see /api"}
log = logging.getLogger("collidekit.benchmark.server")


class Problem(BaseModel):
    """An error."""

    error: str = Field(
        description="What is wrong and what to do, in one sentence.", examples=["there is no benchmark 'tops'"]
    )


def problems(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Return the description of the errors of a route, for OpenAPI."""
    found = sorted({*statuses, 400, 422, 429})
    return {status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in found}


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error with one sentence."""

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        return await answer(request, error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        return await answer(request, 422, validation_sentence(error))

    @app.exception_handler(CollidekitError)
    async def _ours(request: Request, error: CollidekitError) -> Response:
        return await answer(request, status_of(error), str(error))


def status_of(error: CollidekitError) -> int:
    """Return the status of an error of the store or of a submission."""
    if isinstance(error, StoreUnavailable):
        log.error("%s", error)
        return 503
    return 422


async def answer(request: Request, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error as JSON or as a page."""
    message = " ".join(message.split())
    if message in ("", HTTPStatus(status).phrase):  # of the framework, and no sentence
        message = PLAIN.get(status, HTTPStatus(status).phrase.lower())
    if status == 503:
        message = "the database of the server does not answer; try again in a minute"
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": message}, status, headers)
    words = {401: "Log in", 403: "Not allowed", 404: "Not found"}
    found = await _visitor(request) if status in (403, 404, 409, 422) else Visitor(None, "")
    page = service_of(request).templates.get_template("error.html").render(
        status=status, heading=words.get(status, f"Error {status}"), message=message, path=request.url.path, user=found.user,
        form=found.form,
    )  # fmt: skip
    return HTMLResponse(page, status, headers)


async def _visitor(request: Request) -> Visitor:
    """Return whoever sees the page of an error; nobody where the store does not answer."""
    try:
        return await visitor(request)
    except CollidekitError:
        return Visitor(None, "")


def validation_sentence(error: RequestValidationError) -> str:
    """Return the first error of a request in one sentence."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path", "header"))
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{place}: {said[:1].lower()}{said[1:]}" if place else said
