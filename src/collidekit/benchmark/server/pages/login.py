"""Log in with a token, and out."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import Response

from collidekit.benchmark.server.access import Visitor, check_origin, check_token, for_page, new_session, visitor
from collidekit.benchmark.server.pages.answers import go_to, page
from collidekit.benchmark.server.security.session import COOKIE, FORM, form_value, form_value_matches
from collidekit.benchmark.server.service import Service, service_of
from collidekit.benchmark.store import Role

routes = APIRouter()
Anyone = Annotated[Visitor, Depends(visitor)]


@routes.get("/login")
def show_login(request: Request, found: Anyone, next: str = "/") -> Response:
    """Show the page that asks for a token."""
    return go_to(_local(next)) if found.user else _page(service_of(request), next, "", 200)


@routes.post("/login")
def log_in(
    request: Request, token: Annotated[str, Form(max_length=200)], form: Annotated[str, Form()] = "", next: Annotated[str, Form()] = "/"
) -> Response:  # fmt: skip
    """Set the session cookie of the user of a token."""
    service = service_of(request)
    check_origin(request)
    before = request.cookies.get(FORM, "")
    if not before or not form_value_matches(service.settings.key, before, form):
        return _page(service, next, "the page was open for too long, or cookies are off; try again", 403)
    try:
        user = check_token(request, token.strip())
    except HTTPException as error:
        return _page(service, next, str(error.detail), error.status_code)
    answer = go_to(_local(next))
    _set_cookie(service, answer, COOKIE, new_session(service, user), service.settings.session)
    answer.delete_cookie(FORM)
    return answer


@routes.post("/logout")
def log_out(request: Request, found: Annotated[Visitor, Depends(for_page(Role.READER, form=True))]) -> Response:
    """Remove the session cookie."""
    answer = go_to("/")
    answer.delete_cookie(COOKIE, secure=service_of(request).settings.secure, httponly=True, samesite="lax")
    return answer


def _page(service: Service, next: str, message: str, status: int) -> Response:
    """Return the page with a new value in its form, and the cookie that belongs to it."""
    before = secrets.token_urlsafe(24)
    values = {
        "form": form_value(service.settings.key, before),
        "next": _local(next),
        "message": message,
        "here": "login",
    }
    answer = page(service, "login.html", Visitor(None, values.pop("form")), status, **values)
    _set_cookie(service, answer, FORM, before, 3600)
    return answer


def _set_cookie(service: Service, answer: Response, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=service.settings.secure)


def _local(address: str) -> str:
    """Return an address on this server, the first page for any other."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"
