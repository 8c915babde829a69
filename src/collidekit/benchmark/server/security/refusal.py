"""An answer before a route is reached: one sentence, as JSON for programs and as a page for people."""

import html
import json

from starlette.types import Scope, Send

PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    '<title>Error {status}</title><link rel="stylesheet" href="/static/style.css"></head><body><main><h1>Error {status}</h1>'
    '<p role="alert">{message}</p><p><a href="/">Benchmarks</a></p></main></body></html>'
)


async def refuse(scope: Scope, send: Send, status: int, message: str, wait: float = 0) -> None:
    """Send an error; ``wait`` gives the seconds after which to try again."""
    if scope["path"].startswith("/api/"):
        kind, body = b"application/json", json.dumps({"error": message}).encode()
    else:
        kind, body = b"text/html; charset=utf-8", PAGE.format(status=status, message=html.escape(message)).encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if wait:
        headers.append((b"retry-after", str(int(wait) + 1).encode()))
    if status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
