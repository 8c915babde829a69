"""The app of a server."""

from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from collidekit.benchmark.server.api import organiser as api_organiser
from collidekit.benchmark.server.api import public as api_public
from collidekit.benchmark.server.api import runs as api_runs
from collidekit.benchmark.server.api import submissions as api_submissions
from collidekit.benchmark.server.errors import add_error_handlers
from collidekit.benchmark.server.pages import api_page, login, organiser, public, runs, submit
from collidekit.benchmark.server.security.body import BodyLimits
from collidekit.benchmark.server.security.headers import SecurityHeaders
from collidekit.benchmark.server.security.rates import RateLimits
from collidekit.benchmark.server.service import Service
from collidekit.benchmark.server.settings import ServerSettings
from collidekit.benchmark.store import Store

DESCRIPTION = """Benchmarks of collidekit: submit entries, follow runs, read leaderboards.

Send the token that the organiser gave you in the header `Authorization: Bearer TOKEN`. Roles: a `reader` sees boards, a
`participant` submits and sees its own runs, an `owner` organises. Every error is one sentence: `{"error": "..."}`. Too many
requests are answered with 429 and `Retry-After`."""


def create_app(store: Store, settings: ServerSettings) -> FastAPI:
    """Return the ASGI app that serves a store."""
    app = FastAPI(
        title=settings.title, version="1", description=DESCRIPTION, docs_url=None, redoc_url=None,
        openapi_url="/api/v1/openapi.json", redirect_slashes=False,
    )  # fmt: skip
    app.state.service = Service(store, settings)
    add_error_handlers(app)
    api = APIRouter(prefix="/api/v1")
    for module in (api_public, api_submissions, api_runs, api_organiser):
        api.include_router(module.routes)
    app.include_router(api)
    for page in (public, login, submit, runs, organiser, api_page):
        app.include_router(page.routes, include_in_schema=False)
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=3)
    app.add_middleware(BodyLimits, settings=settings)
    app.add_middleware(RateLimits, settings=settings)
    app.add_middleware(SecurityHeaders, settings=settings)  # the outermost: its headers are on every answer
    return app
