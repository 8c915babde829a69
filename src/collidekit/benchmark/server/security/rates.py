"""Rates of requests: for each address and for each token or login."""

import hashlib

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from collidekit.benchmark.server.security.buckets import Buckets
from collidekit.benchmark.server.security.refusal import refuse
from collidekit.benchmark.server.security.session import COOKIE
from collidekit.benchmark.server.settings import ServerSettings


class RateLimits:
    """Refuse requests (429) of an address or a token that sends too many."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app = app
        self.addresses, self.tokens = Buckets(settings.by_address), Buckets(settings.by_token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        wait = self.addresses.take(address(request))
        sign = request.headers.get("authorization") or request.cookies.get(COOKIE)
        if not wait and sign:
            wait = self.tokens.take(hashlib.sha256(sign.encode()).hexdigest())
        if wait:
            await refuse(scope, send, 429, f"too many requests; try again in {int(wait) + 1} s", wait)
            return
        await self.app(scope, receive, send)


def address(request: HTTPConnection) -> str:
    """Return the address that a request comes from; an IPv6 network of 64 bits counts as one."""
    host = request.client.host if request.client else "unknown"
    return ":".join(host.split(":")[:4]) if host.count(":") > 3 and "." not in host else host
