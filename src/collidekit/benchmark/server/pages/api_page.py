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
    described = request.app.openapi()
    schemas = described["components"]["schemas"]
    found = [
        {"method": method.upper(), "path": path, "summary": route.get("description", "").split("\n")[0], "example": _example(method, path, route, schemas)}
        for path, methods in described["paths"].items()
        for method, route in methods.items()
    ]  # fmt: skip
    return page(
        service_of(request),
        "api.html",
        visitor,
        routes=found,
        without_images=service_of(request).without_images(),
        here="api",
    )


def _example(method: str, path: str, route: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Return a command for a terminal; its values are the examples of the description."""
    address = path.format(benchmark="top_tagging", phase="public", run=17, user=3)
    words = ["curl", "-H", '"Authorization: Bearer $TOKEN"']
    if method == "post":
        words += ["-X", "POST"]
    content = route.get("requestBody", {}).get("content", {})
    if "application/zip" in content:
        words += ["-H", "'Content-Type: application/zip'", "-H", '"X-Checksum-SHA256: $(sha256sum < entry.zip | cut -c1-64)"', "--data-binary", "@entry.zip"]  # fmt: skip
    elif "application/json" in content:
        schema = schemas[content["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        words += ["-H", "'Content-Type: application/json'", "-d", f"'{json.dumps(_body(schema))}'"]
    needed = [one for one in route.get("parameters", []) if one["in"] == "query" and one.get("required")]
    query = "&".join(f"{one['name']}={one['schema']['examples'][0]}" for one in needed)
    return " ".join([*words, f'"$SERVER{address}{"?" if query else ""}{query}"'])


def _body(schema: dict[str, Any]) -> Any:
    """Return the example of a schema, or one made from the examples of its properties."""
    if "examples" in schema:
        return schema["examples"][0]
    return {name: one["examples"][0] for name, one in schema["properties"].items() if "examples" in one}


@routes.get("/static/{name}")
def show_file(name: str) -> Response:
    """Return a file of the pages; its address changes with its content."""
    if name not in FILES:
        raise HTTPException(404, "there is no such file")
    kind = KINDS[name[name.rindex(".") :]]
    return Response(FILES[name], media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})
