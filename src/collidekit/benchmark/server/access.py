"""Who asks, and what each role may do."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from attrs import frozen
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from collidekit.benchmark.server.security.rates import address
from collidekit.benchmark.server.security.session import COOKIE, form_value, form_value_matches, sign, signed_content
from collidekit.benchmark.server.service import Service, service_of
from collidekit.benchmark.store import Role, StoreUnavailable, User
from collidekit.errors import CollidekitError

RANKS = {Role.READER: 0, Role.PARTICIPANT: 1, Role.OWNER: 2}
TOKEN_NEEDED = "this needs a token: send the header 'Authorization: Bearer TOKEN'"
OPTIONAL_TOKEN: dict[str, list[dict[str, list[str]]]] = {"security": [{}]}
"""For the description of routes that need no token where boards are public."""
LOGIN_NEEDED = "log in to see this page"
_bearer = HTTPBearer(auto_error=False, description="The token that the organiser gave you.")


@frozen
class Visitor:
    """Whoever asks for a page, with the value that the forms of the page carry."""

    user: User | None
    form: str

    def may(self, role: Role) -> bool:
        return self.user is not None and RANKS[self.user.role] >= RANKS[role]


async def api_user(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> User | None:
    """Return the user of the token in the header; None without a header, an error for a wrong token."""
    if credentials is None:
        if "authorization" in request.headers:
            raise _unauthorized("the header must read 'Authorization: Bearer TOKEN'")
        return None
    return await run_in_threadpool(check_token, request, credentials.credentials)


def check_token(request: Request, token: str) -> User:
    """Return the user of a token; wrong tokens of one address are counted, and lock out nobody who has a right one."""
    service, origin = service_of(request), address(request)
    if (user := service.store.user_of(token)) is not None:
        return user
    if wait := service.wrong_tokens.take(origin):
        raise HTTPException(
            429, f"too many wrong tokens; try again in {int(wait) + 1} s", {"Retry-After": str(int(wait) + 1)}
        )
    raise _unauthorized("this token is not valid; ask the organiser for a new one")


def for_api(role: Role | None) -> Callable[..., Awaitable[User | None]]:
    """Return the dependency of a route of the API: the user, who must have a role. None: whoever may see the boards."""

    async def allowed(request: Request, user: Annotated[User | None, Depends(api_user)]) -> User | None:
        if role is None and (user is not None or service_of(request).settings.public):
            return user
        if user is None:
            raise _unauthorized(TOKEN_NEEDED)
        check_role(user, role or Role.READER)
        return user

    return allowed


def check_role(user: User, role: Role) -> None:
    """Raise an error (403) where the role of a user is not enough."""
    if RANKS[user.role] < RANKS[role]:
        raise HTTPException(403, f"the role {user.role} may not do this; it needs the role {role}")


async def visitor(request: Request) -> Visitor:
    """Return whoever asks for a page, by the session cookie."""
    service, cookie = service_of(request), request.cookies.get(COOKIE, "")
    content = signed_content(service.settings.key, "session", cookie) if cookie else None
    user = await run_in_threadpool(_session_user, service, content) if content else None
    return Visitor(user, form_value(service.settings.key, cookie) if user else "")


def _session_user(service: Service, content: dict[str, Any]) -> User | None:
    """Return the user of a session, which a revoked token of the user ends."""
    try:
        user = service.store.user_named(content["user"])
    except StoreUnavailable:
        raise
    except CollidekitError:  # a store that was set up anew
        return None
    return user if user.disabled_at is None and service.revoked(user) == content["revoked"] else None


def for_page(role: Role | None, form: bool = False) -> Callable[..., Awaitable[Visitor]]:
    """Return the dependency of a page; ``form`` also checks that the request comes from a form of this server."""

    async def allowed(request: Request, found: Annotated[Visitor, Depends(visitor)]) -> Visitor:
        if not (role is None and (found.user is not None or service_of(request).settings.public)):
            if found.user is None:
                raise HTTPException(401, LOGIN_NEEDED)
            check_role(found.user, role or Role.READER)
        if form:
            await check_form(request)
        return found

    return allowed


async def check_form(request: Request) -> None:
    """Raise an error (403) for a form that another site sent."""
    service = service_of(request)
    check_origin(request)
    form = await request.form()
    given = form.get("form", "")
    if not isinstance(given, str) or not form_value_matches(
        service.settings.key, request.cookies.get(COOKIE, ""), given
    ):
        await form.close()
        raise HTTPException(403, "the form is too old or comes from another site; load the page again")


def check_origin(request: Request) -> None:
    """Raise an error (403) where the browser says that another site made the request."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    host = request.headers.get("host", "")
    if site not in (None, "same-origin", "none") or (origin is not None and origin.partition("://")[2] != host):
        raise HTTPException(403, "the form comes from another site; load the page again")


def new_session(service: Service, user: User) -> str:
    """Return the session cookie of a user."""
    return sign(
        service.settings.key, "session", {"user": user.name, "revoked": service.revoked(user)}, service.settings.session
    )


def _unauthorized(message: str) -> HTTPException:
    return HTTPException(401, message, {"WWW-Authenticate": "Bearer"})
