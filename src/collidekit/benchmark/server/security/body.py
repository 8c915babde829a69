"""Bodies of requests: not too large, not too slow."""

import asyncio
import re
import time

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collidekit.benchmark.server.security.refusal import refuse
from collidekit.benchmark.server.settings import ServerSettings

UPLOADS = re.compile(r"/api/v1/benchmarks/[^/]+/phases/[^/]+/uploads|/benchmarks/[^/]+/phases/[^/]+/submit")
"""Routes that take a zip file."""
ROOM = 100_000
"""Bytes that a form may have besides its file."""


class BodyLimits:
    """Refuse a body that is larger than its route allows (413) or comes too slowly (408), while it is read."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.settings.upload + ROOM if UPLOADS.fullmatch(scope["path"]) else self.settings.body
        announced = [value for name, value in scope["headers"] if name == b"content-length"]
        if announced and (not announced[0].isdigit() or int(announced[0]) > limit):
            await refuse(scope, send, 413, _too_large(limit))
            return
        await self.app(scope, _Body(receive, limit, self.settings).receive, send)


class _Body:
    """The body of one request; it ends with an error as soon as it breaks a limit."""

    def __init__(self, receive: Receive, limit: int, settings: ServerSettings) -> None:
        self._receive, self._limit, self._settings = receive, limit, settings
        self._began, self._size, self._complete = time.monotonic(), 0, False

    async def receive(self) -> Message:
        if self._complete:  # what comes now is the end of the connection
            return await self._receive()
        pause = self._settings.body_seconds
        try:
            part = await asyncio.wait_for(self._receive(), pause)
        except TimeoutError:
            raise _closing(408, f"nothing of the request came for {pause:g} s; send it again") from None
        self._size += len(part.get("body", b""))
        self._complete = not part.get("more_body", False)
        if self._size > self._limit:
            raise _closing(413, _too_large(self._limit))
        late = time.monotonic() - self._began - pause
        if not self._complete and late > 0 and self._size < late * self._settings.body_rate:
            raise _closing(408, f"the request came slower than {self._settings.body_rate / 1000:g} kB/s; send it again")
        return part


def _too_large(limit: int) -> str:
    return f"the request is too large; the limit is {limit / 1e6:g} MB"


def _closing(status: int, message: str) -> HTTPException:
    return HTTPException(status, message, {"Connection": "close"})
