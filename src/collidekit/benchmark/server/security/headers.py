"""Headers of every answer, and the host that a request may name."""

import logging

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collidekit.benchmark.server.security.refusal import refuse
from collidekit.benchmark.server.settings import ServerSettings

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Content of this server alone, no script or style within a page, in no frame."""

FAILED = "the server failed here; its log says why, and nothing of yours is lost"
log = logging.getLogger("collidekit.benchmark.server")


class SecurityHeaders:
    """Add the headers that tell a browser what an answer may do; refuse requests for other hosts.

    A fault of the server itself is logged and answered here, so that this answer has the headers, too.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app, self.hosts, self.secure = app, settings.accepted_hosts, settings.secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message))
            await send(message)

        named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(named) != 1 or host_name(named[0]) not in self.hosts:
            await refuse(
                scope, send_with_headers, 400, "this server is not known by the host name of the request; see --url"
            )
            return
        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:  # nobody reads an answer
            log.info("%s %s: the client went away", scope["method"], scope["path"])
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if not started:
                await refuse(scope, send_with_headers, 500, FAILED)

    def _add(self, headers: MutableHeaders) -> None:
        headers["Content-Security-Policy"] = POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
        headers.setdefault("Cache-Control", "no-store")
        if self.secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"


def host_name(host: str) -> str:
    """Return the name in a host header, in small letters and without port."""
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
        good = bracket and (not rest or (rest[0] == ":" and rest[1:].isdigit()))
        return name.lower() if good else ""
    name, colon, port = host.partition(":")
    return name.lower() if not colon or port.isdigit() else ""
