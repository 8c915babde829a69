"""The page that describes the API, and files of the pages."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from collidekit.benchmark.server.access import Visitor, for_page
from collidekit.benchmark.server.pages.answers import page
from collidekit.benchmark.server.render import STATIC
from collidekit.benchmark.server.service import service_of

routes = APIRouter()
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
FILES = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in KINDS}


@routes.get("/api")
def show_api(request: Request, visitor: Annotated[Visitor, Depends(for_page(None))]) -> HTMLResponse:
    """Show each route of the API."""
    described = request.app.openapi()["paths"]
    found = [
        {"method": method.upper(), "path": path, "summary": route.get("description", "").split("\n")[0], "role": "", "example": _example(method, path, route)}
        for path, methods in described.items()
        for method, route in methods.items()
    ]  # fmt: skip
    return page(service_of(request), "api.html", visitor, routes=found, here="api")


def _example(method: str, path: str, route: dict[str, Any]) -> str:
    """Return a command for a terminal."""
    address = (
        path.replace("{benchmark}", "top_tagging")
        .replace("{phase}", "public")
        .replace("{run}", "17")
        .replace("{user}", "3")
    )
    words = ["curl", "-H", '"Authorization: Bearer $TOKEN"']
    if method == "post":
        words += ["-X", "POST"]
    content = route.get("requestBody", {}).get("content", {})
    if "application/zip" in content:
        words += ["-H", "'Content-Type: application/zip'", "-H", '"X-Checksum-SHA256: $(sha256sum < entry.zip | cut -c1-64)"', "--data-binary", "@entry.zip"]  # fmt: skip
    elif "application/json" in content:
        example = {"name": "particle_net", "image": "registry.example.org/tagger:1.0", "tagger": "python /code/tag.py"}
        body = example if "phases" in path else {"name": "ada", "role": "participant"}
        words += ["-H", "'Content-Type: application/json'", "-d", f"'{json.dumps(body)}'"]
    return " ".join([*words, f"$SERVER{address}"])


@routes.get("/static/{name}")
def show_file(name: str) -> Response:
    """Return a file of the pages; its address changes with its content."""
    if name not in FILES:
        raise HTTPException(404, "there is no such file")
    kind = KINDS[name[name.rindex(".") :]]
    return Response(FILES[name], media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})
