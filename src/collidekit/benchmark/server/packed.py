"""Answers that are packed once and sent many times."""

import gzip

from fastapi import Request
from fastapi.responses import Response


def packed(content: bytes) -> bytes:
    """Return a content packed with gzip."""
    return gzip.compress(content, 6, mtime=0)


def answer_packed(request: Request, content: bytes, kind: str, cached: str = "") -> Response:
    """Return a packed content as an answer, unpacked for clients that do not take gzip."""
    headers = {"Vary": "Accept-Encoding", **({"Cache-Control": cached} if cached else {})}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(content, media_type=kind, headers={**headers, "Content-Encoding": "gzip"})
    return Response(gzip.decompress(content), media_type=kind, headers=headers)
